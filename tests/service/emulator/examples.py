"""Programs of our own that make the calls of DocuSign's published code examples (eSignature 1-45).

Each takes the running emulator and an envelope that there is. Where an example needs what the
emulator does not have, there is no program, and a reason instead.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import docusign_esign as ds

from tests.emulating import BACK, GRACE, Emulated, definition, signers

Program = Callable[[Emulated, str], Awaitable[Any]]


@dataclass(frozen=True)
class Example:
    """One of DocuSign's examples; `missing` says why it does not hold."""

    number: int
    name: str
    program: Program | None = None
    missing: str = ""


async def embedded(one: Emulated, _: str, **more: Any) -> None:
    envelope_id = await one.create(definition(**more))
    assert "/emulator/signing/" in await one.view(envelope_id, 1)


async def by_email(one: Emulated, _: str, **more: Any) -> str:
    signer = signers(1)[0]
    signer.client_user_id = None
    copy = ds.CarbonCopy(name="Carl", email="carl@example.com", recipient_id="9", routing_order="2")
    people = ds.Recipients(signers=[signer], carbon_copies=[copy])
    envelope_id = await one.create(definition(**{"recipients": people, **more}))
    assert await one.status(envelope_id) == "sent"
    return envelope_id


async def _to(one: Emulated, **of_signer: Any) -> None:
    signer = signers(1)[0]
    signer.client_user_id = None
    for name, value in of_signer.items():
        setattr(signer, name, value)
    await by_email(one, "", recipients=ds.Recipients(signers=[signer]))


async def listed(one: Emulated, envelope_id: str) -> None:
    found = await one.call(one.envelopes.list_status_changes, from_date="2020-01-01")
    assert envelope_id in [each.envelope_id for each in found.envelopes]


async def shown(one: Emulated, envelope_id: str) -> None:
    assert await one.status(envelope_id) == "sent"


async def recipients(one: Emulated, envelope_id: str) -> None:
    found = await one.call(one.envelopes.list_recipients, envelope_id)
    assert found.signers[0].name == GRACE


async def documents(one: Emulated, envelope_id: str) -> None:
    found = await one.call(one.envelopes.list_documents, envelope_id)
    assert found.envelope_documents[0].name == "Lease"


async def downloaded(one: Emulated, envelope_id: str) -> None:
    found = await one.call(one.envelopes.get_document, "combined", envelope_id)
    assert found.startswith(b"%PDF-")


async def template(one: Emulated, _: str) -> str:
    api = ds.TemplatesApi(one.sdk)
    await one.call(api.list_templates, search_text="Example Signer and CC template")
    made = definition(status="created")
    signer = ds.Signer(
        role_name="signer",
        recipient_id="1",
        routing_order="1",
        tabs=ds.Tabs(text_tabs=[ds.Text(tab_label="salary", document_id="1", page_number="1")]),
    )
    copy = ds.CarbonCopy(role_name="cc", recipient_id="2", routing_order="2")
    wanted = ds.EnvelopeTemplate(
        name="Example Signer and CC template",
        shared="false",
        email_subject="Please sign",
        documents=made.documents,
        recipients=ds.Recipients(signers=[signer], carbon_copies=[copy]),
        status="created",
    )
    created = await one.call(api.create_template, envelope_template=wanted)
    found = await one.call(api.list_templates, search_text="example signer")
    assert created.template_id in [each.template_id for each in found.envelope_templates]
    return str(created.template_id)


def _roles(client_user_id: str | None = None, tabs: Any = None) -> list[ds.TemplateRole]:
    signer = ds.TemplateRole(
        name=GRACE,
        email="grace@example.com",
        role_name="signer",
        client_user_id=client_user_id,
        tabs=tabs,
    )
    return [signer, ds.TemplateRole(name="Carl", email="carl@example.com", role_name="cc")]


async def from_template(one: Emulated, envelope_id: str) -> None:
    template_id = await template(one, envelope_id)
    made = ds.EnvelopeDefinition(status="sent", template_id=template_id, template_roles=_roles())
    sent = await one.create(made)
    found = await one.call(one.envelopes.list_recipients, sent)
    assert [found.signers[0].name, found.carbon_copies[0].name] == [GRACE, "Carl"]


async def template_with_document(one: Emulated, envelope_id: str) -> None:
    template_id = await template(one, envelope_id)
    inline = ds.InlineTemplate(sequence="2", recipients=ds.Recipients(signers=signers(1)))
    extra = definition().documents[0]
    extra.document_id = "2"
    parts = [
        ds.CompositeTemplate(
            server_templates=[ds.ServerTemplate(sequence="1", template_id=template_id)],
            inline_templates=[inline],
        ),
        ds.CompositeTemplate(inline_templates=[inline], document=extra),
    ]
    sent = await one.create(ds.EnvelopeDefinition(status="sent", composite_templates=parts))
    found = await one.call(one.envelopes.list_documents, sent)
    assert [each.document_id for each in found.envelope_documents[:2]] == ["1", "2"]
    await one.view(sent, 1)


async def template_tabs(one: Emulated, envelope_id: str) -> None:
    template_id = await template(one, envelope_id)
    tabs = ds.Tabs(text_tabs=[ds.Text(tab_label="salary", value="75000")])
    made = ds.EnvelopeDefinition(
        status="sent", template_id=template_id, template_roles=_roles("1001", tabs)
    )
    sent = await one.create(made)
    found = await one.call(one.envelopes.get_form_data, sent)
    assert found.form_data[0].value == "75000"
    await one.view(sent, 1)


async def binary(one: Emulated, _: str) -> None:
    made = one.sdk.sanitize_for_serialization(definition())
    del made["documents"][0]["documentBase64"]
    raw = (
        "--mark\r\nContent-Type: application/json\r\nContent-Disposition: form-data\r\n\r\n"
        f"{json.dumps(made)}\r\n--mark\r\nContent-Type: application/pdf\r\n"
        'Content-Disposition: file; filename="Lease";documentid=1\r\n\r\n%PDF-1.4 mine\r\n'
        "--mark--\r\n"
    ).encode()
    path, form = f"{one.api.account}/envelopes", "multipart/form-data; boundary=mark"
    answer = await one.api.call("POST", path, data=raw, Content_Type=form)
    assert answer.status == 201, answer.body


async def sender_view(one: Emulated, _: str) -> None:
    draft = await one.create(definition(status="created"))
    wanted = ds.EnvelopeViewRequest(return_url=BACK, view_access="envelope")
    made = await one.call(one.envelopes.create_sender_view, draft, envelope_view_request=wanted)
    assert made.url.startswith("http")


async def console(one: Emulated, envelope_id: str) -> None:
    wanted = ds.ConsoleViewRequest(return_url=BACK, envelope_id=envelope_id)
    made = await one.call(one.envelopes.create_console_view, console_view_request=wanted)
    assert envelope_id in made.url


async def tab_data(one: Emulated, envelope_id: str) -> None:
    found = await one.call(one.envelopes.get_form_data, envelope_id)
    assert found.form_data[0].value == "60000"


async def field_data(one: Emulated, _: str) -> None:
    fields = ds.CustomFields(text_custom_fields=[ds.TextCustomField(name="app", value="a")])
    envelope_id = await one.create(definition(custom_fields=fields))
    found = await one.call(one.envelopes.list_custom_fields, envelope_id)
    assert found.text_custom_fields[0].value == "a"


async def access_code(one: Emulated, _: str) -> None:
    await _to(one, access_code="NJ9")


async def knowledge(one: Emulated, _: str) -> None:
    await _to(one, id_check_configuration_name="ID Check $", require_id_lookup="true")


async def by_sms(one: Emulated, _: str) -> None:
    number = ds.RecipientPhoneNumber(country_code="1", number="5550100")
    await _to(one, email=None, phone_number=number, delivery_method="SMS")


async def in_person(one: Emulated, _: str) -> None:
    host = {"host_name": "Harry Host", "host_email": "harry@example.com"}
    signer = ds.InPersonSigner(**host, signer_name=GRACE, recipient_id="1", routing_order="1")
    people = ds.Recipients(in_person_signers=[signer])
    envelope_id = await one.create(definition(recipients=people))
    request = ds.RecipientViewRequest(
        authentication_method="none",
        recipient_id="1",
        return_url=BACK,
        user_name="Harry Host",
        email="harry@example.com",
    )
    made = await one.call(
        one.envelopes.create_recipient_view, envelope_id, recipient_view_request=request
    )
    assert "/emulator/signing/" in made.url


async def hidden_documents(one: Emulated, _: str) -> None:
    await _to(one, excluded_documents=["1"])


async def with_brand(one: Emulated, envelope_id: str) -> None:
    found = await one.call(ds.AccountsApi(one.sdk).list_brands)
    assert not found.brands
    await by_email(one, envelope_id, brand_id="b")


async def deleted_and_restored(one: Emulated, _: str) -> None:
    folders = ds.FoldersApi(one.sdk)
    envelope_id = await one.create(definition())
    for folder, before in (("recyclebin", None), ("sentitems", "recyclebin")):
        wanted = ds.FoldersRequest(envelope_ids=[envelope_id], from_folder_id=before)
        await one.call(folders.move_envelopes, folder, folders_request=wanted)
        found = await one.call(folders.list_items, folder)
        assert envelope_id in [each.envelope_id for each in found.folders[0].folder_items]


_IDENTITY = "no identity verification workflow: the list is empty"
_PERMISSIONS = "no permission profiles"
_WORKFLOW = "the workflow of an envelope is not followed"

EXAMPLES = (
    Example(1, "Request a signature by embedded signing", embedded),
    Example(2, "Request a signature by email", by_email),
    Example(3, "List envelopes", listed),
    Example(4, "Get an envelope", shown),
    Example(5, "List an envelope's recipients", recipients),
    Example(6, "List an envelope's documents", documents),
    Example(7, "Download a document", downloaded),
    Example(8, "Create a template", template),
    Example(9, "Use a template", from_template),
    Example(10, "Send binary documents", binary),
    Example(11, "Embedded sending", sender_view),
    Example(12, "Embedded console", console),
    Example(13, "Add a document to a template", template_with_document),
    Example(14, "Collect a payment", missing="no payment gateway: nothing is charged"),
    Example(15, "Get the tab data of an envelope", tab_data),
    Example(16, "Set tab values", embedded),
    Example(17, "Set template tab values", template_tabs),
    Example(18, "Get custom field data", field_data),
    Example(19, "Require an access code", missing="the page asks for no access code"),
    Example(20, "Authenticate by phone", missing=_IDENTITY),
    Example(22, "Authenticate by knowledge", missing="the page asks no questions"),
    Example(23, "Authenticate by ID", missing=_IDENTITY),
    Example(24, "Create a permission profile", missing=_PERMISSIONS),
    Example(25, "Set a group's permission profile", missing=_PERMISSIONS),
    Example(26, "Change a permission profile", missing=_PERMISSIONS),
    Example(27, "Delete a permission profile", missing=_PERMISSIONS),
    Example(28, "Create a brand", missing="no brands"),
    Example(29, "Apply a brand to an envelope", missing="no brands: the list is empty"),
    Example(30, "Apply a brand to a template", missing="no brands: the list is empty"),
    Example(31, "Send in bulk", missing="no bulk sending: the list of lists is empty"),
    Example(32, "Pause a signature workflow", missing=_WORKFLOW),
    Example(33, "Unpause a signature workflow", missing=_WORKFLOW),
    Example(34, "Use conditional recipients", missing=_WORKFLOW),
    Example(35, "Schedule an envelope", missing=_WORKFLOW),
    Example(36, "Delay a routing", missing=_WORKFLOW),
    Example(37, "Deliver by SMS", by_sms),
    Example(38, "Responsive signing", embedded),
    Example(39, "Sign in person", in_person),
    Example(40, "Set the visibility of documents", missing="the page shows every document"),
    Example(41, "Embedded signing with 21 CFR Part 11", missing=_IDENTITY),
    Example(42, "Generate documents", missing="no document generation"),
    Example(43, "Share access", missing="no authorizations: the list is empty"),
    Example(44, "Focused view", missing="the page lets nobody frame it"),
    Example(45, "Delete and restore an envelope", deleted_and_restored),
)
"""There is no example 21 any more."""

ACCEPTED = (access_code, knowledge, hidden_documents, with_brand)
"""Of examples that do not hold, what is taken all the same: envelopes go without it."""


def rows() -> str:
    """The table of the page."""
    return "\n".join(
        f"| {one.number} | {one.name} | {'yes' if one.program else 'no'} | {one.missing} |"
        for one in EXAMPLES
    )
