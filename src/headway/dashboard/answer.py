from __future__ import annotations

from flask import flash, jsonify, redirect
from werkzeug.wrappers import Response

from headway.dashboard.sign_in import wants_json


def said(message: str, *, then: str) -> Response:
    """Tell what a button has done: a script as JSON, a browser on the page `then`."""
    if wants_json():
        return jsonify(status="OK", message=message)
    flash(message)
    return redirect(then, 303)
