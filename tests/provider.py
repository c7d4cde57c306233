"""A real provider of identities for tests: Django OAuth Toolkit, as a program of its own.

    python tests/provider.py PORT FOLDER

It signs in whoever the header `x-person` names, without a password: `ana@example.org`, who is in the groups that
`x-groups` names. `/rotate` has it sign with a new key, and `/forge?…` signs what a test wants said with its own key.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings

CLIENT, DEVICE = "holdfast", "holdfast-device"


def fresh_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kind = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*kind).decode()


def configure(port: int, folder: Path) -> None:
    settings.configure(
        DEBUG=False,
        SECRET_KEY="test",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        USE_TZ=True,
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "provider.db")}},
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "oauth2_provider",
        ],
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", f"{__name__}.known"],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        OAUTH2_PROVIDER={
            "OIDC_ENABLED": True,
            "OIDC_ISS_ENDPOINT": f"http://127.0.0.1:{port}/o",
            "OIDC_RSA_PRIVATE_KEY": fresh_key(),
            "SCOPES": {"openid": "openid", "email": "email", "profile": "profile"},
            "PKCE_REQUIRED": True,
            "OAUTH2_VALIDATOR_CLASS": f"{__name__}.validator",
            "ALLOWED_REDIRECT_URI_SCHEMES": ["http"],
            "OAUTH_DEVICE_VERIFICATION_URI": f"http://127.0.0.1:{port}/o/device/",
            "DEVICE_FLOW_INTERVAL": 1,
        },
    )


def known(get_response: Any) -> Any:
    """The middleware that believes `x-person`."""
    from django.contrib.auth.models import AnonymousUser, User

    def answered(request: Any) -> Any:
        name = request.headers.get("x-person")
        request.user = AnonymousUser()
        if name:
            request.user, _ = User.objects.get_or_create(username=name, defaults={"email": name})
            request.user.first_name = request.headers.get("x-groups", "")
            request.user.save()
        return get_response(request)

    return answered


def __getattr__(name: str) -> Any:
    """What Django finds by its dotted name, once it is set up."""
    if name == "urlpatterns":
        from django.urls import include, path

        return [
            path("o/.well-known/openid-configuration", discovery),
            path("o/token/", token),
            path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
            path("rotate", rotate),
            path("forge", forge),
        ]
    if name == "validator":
        from oauth2_provider.oauth2_validators import OAuth2Validator

        class Validator(OAuth2Validator):  # type: ignore[misc]
            oidc_claim_scope = None

            def get_additional_claims(self, request: Any) -> dict[str, Any]:
                user = request.user
                groups = [one for one in user.first_name.split(",") if one]
                return {"email": user.email, "email_verified": True, "groups": groups}

        return Validator
    raise AttributeError(name)


def discovery(request: Any) -> Any:
    """The provider's own document, and where its codes for devices are, which it leaves out."""
    from django.http import JsonResponse
    from oauth2_provider.views import ConnectDiscoveryInfoView

    said = json.loads(ConnectDiscoveryInfoView.as_view()(request).content)
    return JsonResponse({**said, "device_authorization_endpoint": f"{said['issuer']}/device-authorization/"})


def token(request: Any) -> Any:
    """The provider's own answer; for a code of a device ours, since its library does not fit it there."""
    from django.http import JsonResponse
    from oauth2_provider.models import DeviceGrant
    from oauth2_provider.views import TokenView

    if "device_code" not in request.POST:
        return TokenView.as_view()(request)
    grant = DeviceGrant.objects.get(device_code=request.POST["device_code"])
    if grant.status != DeviceGrant.AUTHORIZED:
        return JsonResponse({"error": "authorization_pending"}, status=400)
    return JsonResponse({"id_token": signed({"aud": DEVICE, "sub": str(grant.user.pk), "email": grant.user.email})})


def rotate(_request: Any) -> Any:
    from django.http import JsonResponse
    from oauth2_provider.settings import oauth2_settings

    oauth2_settings.OIDC_RSA_PRIVATE_KEY = fresh_key()
    return JsonResponse({})


def forge(request: Any) -> Any:
    """A token with claims of the asker's own over those of a good one, signed as a good one is."""
    from django.http import HttpResponse

    return HttpResponse(signed(json.loads(request.GET.get("claims", "{}"))), content_type="text/plain")


def signed(claims: dict[str, Any]) -> str:
    from joserfc import jwt
    from joserfc.jwk import RSAKey
    from oauth2_provider.settings import oauth2_settings

    key = RSAKey.import_key(oauth2_settings.OIDC_RSA_PRIVATE_KEY)
    now = int(time.time())
    good = {"iss": oauth2_settings.OIDC_ISS_ENDPOINT, "aud": CLIENT, "sub": "7", "iat": now, "exp": now + 300}
    good |= {"email": "eve@example.org", "email_verified": True}
    said = {name: value for name, value in {**good, **claims}.items() if value is not None}
    return jwt.encode({"alg": "RS256", "kid": key.thumbprint()}, said, key)


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None: ...


def main(port: int, folder: Path) -> None:
    sys.modules["provider"] = sys.modules[__name__]
    configure(port, folder)
    django.setup()
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application
    from oauth2_provider.models import Application
    from oauth2_provider.views import device as devices

    # Its library says the scope in the answer as well, which this class does not take.
    plain = devices.DeviceCodeResponse
    devices.DeviceCodeResponse = lambda scope=None, **said: plain(**said)
    call_command("migrate", verbosity=0)
    shared = {"client_type": "public", "skip_authorization": True, "algorithm": "RS256", "client_secret": ""}
    Application.objects.create(
        name=CLIENT, client_id=CLIENT, authorization_grant_type="authorization-code",
        redirect_uris="http://127.0.0.1/callback", **shared,
    )  # fmt: skip
    device = "urn:ietf:params:oauth:grant-type:device_code"
    Application.objects.create(name=DEVICE, client_id=DEVICE, authorization_grant_type=device, **shared)
    with make_server("127.0.0.1", port, get_wsgi_application(), handler_class=Quiet) as server:
        print("ready", flush=True)  # noqa: T201 - whoever started it waits for this
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
