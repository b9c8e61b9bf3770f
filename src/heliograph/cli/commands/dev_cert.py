"""`heliograph dev-cert`: HTTPS on this machine in two commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from heliograph.cli.exits import wrong
from heliograph.cli.terminal import output, print_json
from heliograph.incoming import dev_certificate

FOLDER = Path("heliograph-tls")


@click.command("dev-cert", epilog="Example: heliograph dev-cert --host hg.test")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=FOLDER,
    show_default=True,
    help="Where the files are made.",
)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    help="A further name or address of the server; may be repeated.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 825),
    default=dev_certificate.DAYS,
    show_default=True,
    help="How long the certificate is valid.",
)
@click.option("--json", "as_json", is_flag=True, help="The files as one JSON document.")
def dev_cert(folder: Path, hosts: Sequence[str], days: int, as_json: bool) -> None:
    """Make a server certificate for localhost, and a certificate authority that clients trust.

    Run it again to renew the certificate: the authority stays, so clients need nothing new. Keep
    ca.key to yourself: whoever has it can play any server to those who trust ca.pem.
    """
    try:
        issued = dev_certificate.issue(folder, hosts, days)
    except ValueError as error:
        raise wrong(str(error)) from None
    authority = issued.authority.absolute()
    if as_json:
        print_json(
            {
                "certificate": str(issued.certificate.absolute()),
                "key": str(issued.key.absolute()),
                "authority": str(authority),
                "newAuthority": issued.new_authority,
                "hosts": list(issued.hosts),
                "expires": issued.expires.isoformat(),
            }
        )
        return
    console = output()
    console.print(
        f"A certificate for {', '.join(issued.hosts)}, valid until {issued.expires:%Y-%m-%d}"
    )
    kept = "new" if issued.new_authority else "the same as before"
    for name, text in (
        ("Certificate", str(issued.certificate)),
        ("Key", str(issued.key)),
        ("Authority", f"{issued.authority} ({kept})"),
        ("Serve", f"heliograph serve --tls-cert {issued.certificate} --tls-key {issued.key}"),
        ("CLI", "finds the authority by itself in the data directory"),
        ("curl", f"curl --cacert {authority} https://localhost:8080/healthz"),
        ("Node", f"export NODE_EXTRA_CA_CERTS={authority}"),
        ("Python SDK", f"docusign_esign.Configuration().ssl_ca_cert = {str(authority)!r}"),
        ("requests", f"export REQUESTS_CA_BUNDLE={authority}"),
    ):
        console.print(f"  {name:<13}{text}", soft_wrap=True, markup=False, highlight=False)
