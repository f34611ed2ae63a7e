"""Settings of every process, from the environment; secrets are redacted when printed.

Command-line options override them by setting the environment before `Settings()` is made. Knows no other
package but errors.
"""

import json
import os
import re
import socket
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from streams.errors import NotReachable

ProtocolName = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
ROLES = ("viewer", "operator", "admin")  # each may do what those before it may
BEARER_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1

_WITH_PORT = re.compile(r"(?:[A-Z_]+://)?(?:\[.*\]|[^:\[]*):([^:]*)")  # as librdkafka reads broker addresses
_LAST_PORT = 65535


def user_state_dir() -> Path:
    """Folder for state that outlives a process (XDG base directory specification)."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "headrace"


def dev_broker_record() -> Path:
    """File in which `headrace dev up` records the address of the broker it started."""
    return user_state_dir() / "dev" / "broker.json"


class Settings(BaseSettings):
    """All settings; the field's alias is the environment variable that sets it."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True)

    topology: Path = Field(Path("topology.yaml"), alias="HEADRACE_TOPOLOGY")
    schemas: Path = Field(Path("schemas"), alias="HEADRACE_SCHEMAS")
    app: str = Field("streams.commerce", alias="HEADRACE_APP")
    state_dir: Path = Field(default_factory=lambda: user_state_dir() / "state", alias="HEADRACE_STATE_DIR")
    store: Literal["rocksdb", "memory"] = Field("rocksdb", alias="HEADRACE_STORE")
    instance_id: str = Field(default_factory=socket.gethostname, alias="HEADRACE_INSTANCE_ID", min_length=1)
    web_host: str = Field("127.0.0.1", alias="HEADRACE_WEB_HOST")
    web_port: int = Field(6066, alias="HEADRACE_WEB_PORT", ge=1, le=65535)
    web_tokens: SecretStr = Field(SecretStr(""), alias="HEADRACE_WEB_TOKENS")
    url: str = Field("", alias="HEADRACE_URL")
    token: SecretStr = Field(SecretStr(""), alias="HEADRACE_TOKEN")
    keyring: Path | None = Field(None, alias="HEADRACE_KEYRING")
    keyring_json: SecretStr = Field(SecretStr(""), alias="HEADRACE_KEYRING_JSON")
    log_format: Literal["console", "json"] = Field("console", alias="HEADRACE_LOG_FORMAT")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", alias="HEADRACE_LOG_LEVEL")

    kafka_bootstrap_servers: str = Field("", alias="KAFKA_BOOTSTRAP_SERVERS")
    kafka_security_protocol: ProtocolName = Field("PLAINTEXT", alias="KAFKA_SECURITY_PROTOCOL")
    kafka_sasl_mechanism: str = Field("SCRAM-SHA-512", alias="KAFKA_SASL_MECHANISM")
    kafka_sasl_username: str = Field("", alias="KAFKA_SASL_USERNAME")
    kafka_sasl_password: SecretStr = Field(SecretStr(""), alias="KAFKA_SASL_PASSWORD")
    kafka_ssl_ca_location: str = Field("", alias="KAFKA_SSL_CA_LOCATION")
    kafka_ssl_certificate_location: str = Field("", alias="KAFKA_SSL_CERTIFICATE_LOCATION")
    kafka_ssl_key_location: str = Field("", alias="KAFKA_SSL_KEY_LOCATION")
    kafka_ssl_key_password: SecretStr = Field(SecretStr(""), alias="KAFKA_SSL_KEY_PASSWORD")
    schema_registry_url: str = Field("", alias="SCHEMA_REGISTRY_URL")

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _check_ports(cls, servers: str) -> str:
        for address in servers.split(","):
            port = _WITH_PORT.fullmatch(address.strip())
            if port and not (re.fullmatch("[0-9]{1,5}", port[1]) and 1 <= int(port[1]) <= _LAST_PORT):
                raise ValueError(f"expected host:port,... with ports from 1 to {_LAST_PORT}, got {address.strip()}")
        return servers

    @field_validator("keyring", mode="before")
    @classmethod
    def _no_keyring(cls, path: object) -> object:
        return path or None  # HEADRACE_KEYRING= means none, not the current folder

    @field_validator("web_tokens")
    @classmethod
    def _check_tokens(cls, tokens: SecretStr) -> SecretStr:
        _parse_tokens(tokens.get_secret_value())
        return tokens

    @field_validator("token")
    @classmethod
    def _check_token(cls, token: SecretStr) -> SecretStr:
        if token.get_secret_value() and not BEARER_TOKEN.fullmatch(token.get_secret_value()):
            raise ValueError("expected a bearer token of letters, digits and ._~+/-, got other characters")
        return token

    def web_roles(self) -> dict[str, str]:
        """Role of each bearer token that the web server accepts; empty when there are none."""
        return _parse_tokens(self.web_tokens.get_secret_value())

    def bearer_token(self) -> str:
        """Token that commands send: HEADRACE_TOKEN, else the first of HEADRACE_WEB_TOKENS, else none."""
        return self.token.get_secret_value() or next(iter(self.web_roles()), "")

    def advertised_url(self) -> str:
        """Address under which other workers reach this one's web server."""
        host = socket.getfqdn() if self.web_host in {"0.0.0.0", "::"} else self.web_host  # noqa: S104 a comparison
        return f"http://{host}:{self.web_port}"

    def worker_url(self) -> str:
        """Address of the worker that commands ask (HEADRACE_URL, else this machine's default port)."""
        return self.url.rstrip("/") or f"http://127.0.0.1:{self.web_port}"

    def bootstrap_servers(self) -> str:
        """Kafka's addresses: KAFKA_BOOTSTRAP_SERVERS, else the broker that `headrace dev up` recorded.

        Raises:
            NotReachable: neither is there.
        """
        recorded = self.kafka_bootstrap_servers or _recorded().get("bootstrap_servers")
        if not recorded:
            raise NotReachable(
                "no broker: KAFKA_BOOTSTRAP_SERVERS is not set and `headrace dev up` has not started one"
            )
        return str(recorded)

    def registry_url(self) -> str:
        """SCHEMA_REGISTRY_URL, else the registry of `headrace dev up --registry`; empty: the catalogue topic.

        A registry belongs to its cluster: that of `dev up` is not used beside a broker of someone else.
        """
        recorded = _recorded()
        ours = self.kafka_bootstrap_servers in {"", recorded.get("bootstrap_servers")}
        return self.schema_registry_url or (str(recorded.get("registry_url", "")) if ours else "")

    def kafka_config(self) -> dict[str, str]:
        """Connection properties for every librdkafka client (consumer, producer, admin)."""
        conf = {
            "bootstrap.servers": self.bootstrap_servers(),
            "security.protocol": self.kafka_security_protocol,
        }
        if self.kafka_security_protocol.startswith("SASL"):
            conf["sasl.mechanism"] = self.kafka_sasl_mechanism
            conf["sasl.username"] = self.kafka_sasl_username
            conf["sasl.password"] = self.kafka_sasl_password.get_secret_value()
        if self.kafka_security_protocol.endswith("SSL"):
            optional = {
                "ssl.ca.location": self.kafka_ssl_ca_location,
                "ssl.certificate.location": self.kafka_ssl_certificate_location,
                "ssl.key.location": self.kafka_ssl_key_location,
                "ssl.key.password": self.kafka_ssl_key_password.get_secret_value(),
            }
            conf.update({name: value for name, value in optional.items() if value})
        return conf


def _recorded() -> dict[str, Any]:
    """What `headrace dev up` recorded; empty where it has not run."""
    try:
        content = json.loads(dev_broker_record().read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _parse_tokens(text: str) -> dict[str, str]:
    """Read `token:role,token:role`; messages never quote a token, for they end up in a terminal or log."""
    roles: dict[str, str] = {}
    for number, entry in enumerate(filter(None, (part.strip() for part in text.split(","))), start=1):
        token, colon, role = entry.rpartition(":")
        if not colon or role not in ROLES:
            lacks = "ends in another role" if colon else "has no colon"
            raise ValueError(f"expected token:role,... with role {', '.join(ROLES)}; entry {number} {lacks}")
        if not BEARER_TOKEN.fullmatch(token):
            raise ValueError(f"a token has letters, digits and ._~+/- only; entry {number} has others or none")
        if token in roles:
            raise ValueError(f"each token may stand once; entry {number} repeats an earlier one")
        roles[token] = role
    return roles
