from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Callable

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    g,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.sessions import SecureCookieSessionInterface
from werkzeug.security import check_password_hash
from werkzeug.wrappers import Response as AnyResponse

from headway.dashboard.guard import PROBES, SAFE_METHODS
from headway.dashboard.options import Options, Role, User, Visitor
from headway.dashboard.throttle import Throttle

#: What a stranger may ask for: the sign-in page and what it looks like.
OPEN = PROBES | {"sign_in.ask", "sign_in.answer", "static"}
HASHED = ("scrypt:", "pbkdf2:")


class Sessions(SecureCookieSessionInterface):
    """Signed cookies that browsers send over TLS only, where TLS is spoken."""

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 - Flask calls it
        """Ask for TLS when this request came by it."""
        forwarded = request.headers.get("X-Forwarded-Proto", "")
        return request.is_secure or forwarded.strip() == "https"


class SignIn:
    """Checks who is asking, by the session cookie or by the application's own means."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._users = {user.name: user for user in options.users}
        self._by_name = Throttle(failures=5)
        # Many people may share one address, behind a proxy.
        self._by_address = Throttle(failures=30)

    def visitor(self) -> Visitor | None:
        """Return who is asking; None for a stranger."""
        if self._options.visitor is not None:
            return self._options.visitor(request)
        if not self._users:
            return Visitor(name="", role=Role.ACT)
        user = self._users.get(str(session.get("name", "")))
        proof = str(session.get("proof", ""))
        if user is None or not hmac.compare_digest(proof, self._proof(user)):
            return None
        return Visitor(name=user.name, role=user.role)

    def sign_in(self, name: str, password: str) -> bool:
        """Start a session if the password is the user's."""
        user = self._users.get(name)
        # For a name that does not exist somebody's is checked, to take as long.
        right = _is_password(user or self._options.users[0], password)
        if user is None or not right:
            return False
        session.clear()
        session.permanent = True
        session["name"] = user.name
        session["proof"] = self._proof(user)
        return True

    def wait(self, name: str) -> int:
        """Return for how many seconds this caller may not try this name."""
        address = request.remote_addr or ""
        seconds = max(
            self._by_name.wait(f"{address} {name}"), self._by_address.wait(address)
        )
        return math.ceil(seconds)

    def failed(self, name: str) -> None:
        """Count a wrong password."""
        address = request.remote_addr or ""
        self._by_name.failed(f"{address} {name}")
        self._by_address.failed(address)

    def _proof(self, user: User) -> str:
        # Ends the sessions of a user whose password or role has changed.
        key = (self._options.secret or "").encode()
        facts = f"{user.name}\n{user.password}\n{user.role}".encode()
        return hmac.new(key, facts, hashlib.sha256).hexdigest()


def require_sign_in(app: Flask, options: Options) -> None:
    """Turn strangers away from every page but the sign-in page."""
    sign_in = SignIn(options)
    app.session_interface = Sessions()
    app.before_request(_gate(sign_in, own_page=bool(options.users)))
    app.context_processor(lambda: {"visitor": g.get("visitor"), "may_act": may_act()})
    if options.users and options.visitor is None:
        app.register_blueprint(_pages(sign_in))


def _gate(sign_in: SignIn, *, own_page: bool) -> Callable[[], AnyResponse | None]:
    def gate() -> AnyResponse | None:
        if request.endpoint in OPEN:
            return None
        g.visitor = sign_in.visitor()
        if g.visitor is None:
            return _turn_away(own_page=own_page)
        changing = request.method not in SAFE_METHODS
        if changing and not may_act() and request.endpoint != "sign_in.leave":
            abort(403, "You may look, but not press: your role is `view`.")
        return None

    return gate


def _turn_away(*, own_page: bool) -> AnyResponse:
    if not own_page or wants_json() or request.method not in SAFE_METHODS:
        abort(401, "Sign in first.")
    return redirect(url_for("sign_in.ask", next=request.full_path.rstrip("?")), 303)


def may_act() -> bool:
    """Tell whether who is asking may press buttons."""
    visitor: Visitor | None = g.get("visitor")
    return visitor is not None and visitor.role is Role.ACT


def wants_json() -> bool:
    """Tell whether a script is asking, which cannot use a page."""
    return (
        "X-Requested-With" in request.headers
        or request.path.endswith(".json")
        or request.accept_mimetypes.best == "application/json"
    )


def _pages(sign_in: SignIn) -> Blueprint:
    pages = Blueprint("sign_in", __name__)

    @pages.get("/sign-in")
    def ask() -> AnyResponse:
        if sign_in.visitor() is not None:
            return redirect(request.script_root + _next(), 303)
        return _form()

    @pages.post("/sign-in")
    def answer() -> AnyResponse:
        name = request.form.get("name", "")[:200]
        password = request.form.get("password", "")[:1000]
        if seconds := sign_in.wait(name):
            text = f"Too many wrong passwords. Try again in {seconds} seconds."
            return _form(text, 429, seconds)
        if not sign_in.sign_in(name, password):
            sign_in.failed(name)
            return _form("Wrong name or password.", 401)
        return redirect(request.script_root + _next(), 303)

    @pages.post("/sign-out")
    def leave() -> AnyResponse:
        session.clear()
        return redirect(url_for("sign_in.ask"), 303)

    return pages


def _form(problem: str = "", status: int = 200, wait: int = 0) -> Response:
    page = render_template("headway/sign_in.html", problem=problem, next=_next())
    response = make_response(page, status)
    if wait:
        response.headers["Retry-After"] = str(wait)
    return response


def _next() -> str:
    """Return where to go after signing in: a path of ours, never another site."""
    path = request.values.get("next", "/")
    inside = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if inside and path.isprintable() else "/"


def _is_password(user: User, given: str) -> bool:
    if user.password.startswith(HASHED):
        return check_password_hash(user.password, given)
    # Digests are of one length, so that the comparison does not tell the password's.
    digests = [
        hashlib.sha256(word.encode()).digest() for word in (user.password, given)
    ]
    return hmac.compare_digest(*digests)
