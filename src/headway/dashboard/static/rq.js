// What rq-dashboard's own scripts leave out: they do not say when a button failed, and
// they ask once where a long list takes several requests.
(function ($) {
  var note = $("<p>", { id: "headway-note", role: "status" }).appendTo(document.body).hide();
  function say(text) {
    note.text(text).show();
    clearTimeout(note.timer);
    note.timer = setTimeout(function () { note.hide(); }, 6000);
  }
  $(document).ajaxSuccess(function (event, request, settings, data) {
    if (settings.type !== "POST" || !data) { return; }
    if (data.left > 0) {
      say(data.done + " done, " + data.left + " to go …");
      $.post(settings.url, { limit: data.left });
    } else if (data.done !== undefined) {
      say("Done.");
    }
  });
  $(document).ajaxError(function (event, request) {
    if (request.status === 401) { location.reload(); return; }
    var said = request.responseJSON;
    if (said && said.message) { say(said.message); }
  });
})(window.jQuery);
