"""Resource modifiers are read from Velero's text, strictly and all at once."""

import pytest

from kbackup.errors import CodecError, InvalidConfigError, InvalidSpecError
from kbackup.models import ResourceModifiers, RestoreOptions

TEXT = """\
version: v1
resourceModifierRules:
- conditions:
    groupResource: deployments.apps
    labelSelector: {matchLabels: {tier: 1}}
    matches:
    - {path: /spec/paused, value: true}
  patches:
  - operation: replace
    path: /spec/replicas
    value: 3
"""


def test_numbers_and_truths_without_quotes():
    """A value may be written as what it is: in Velero's document it is a text."""
    (rule,) = ResourceModifiers.from_yaml(TEXT).resource_modifier_rules

    assert rule.patches[0].value == "3"
    assert rule.conditions.matches[0].value == "true"
    assert rule.conditions.label_selector.match_labels == {"tier": "1"}


def test_null_without_quotes():
    """Velero would put an empty text where null is written, so it is refused."""
    text = TEXT.replace("value: 3", "value: null")

    with pytest.raises(InvalidSpecError, match=r"rule 1: .*value: .*\"null\" or \"\""):
        ResourceModifiers.from_yaml(text)


def test_all_rules_that_are_none():
    """Every rule that cannot be read is named, by its number."""
    text = TEXT + "- {conditionz: {}}\n- patches: [{operation: rm}]\n"

    with pytest.raises(InvalidSpecError) as caught:
        ResourceModifiers.from_yaml(text)

    second, third = caught.value.violations
    assert second.startswith("resource modifier rule 2: ")
    assert "conditionz" in second
    assert third.startswith("resource modifier rule 3: patches[0].operation: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "document: expected an object"),
        ("- a", "document: expected an object"),
        ("a: [", "expected YAML"),
        ("version: v1\nversion: v1", 'each key once, got "version" twice'),
        ("version: v1\nrules: []", "rules"),
        ("version: v1\nresourceModifierRules: 3", "resourceModifierRules: expected"),
    ],
)
def test_no_such_document(text, message):
    """What is no such document is refused with the place."""
    with pytest.raises(CodecError) as caught:
        ResourceModifiers.from_yaml(text)

    assert message in str(caught.value)


def test_files(tmp_path):
    """A file is read alike, and its faults name it."""
    good, bad, worse, odd = (tmp_path / name for name in "abcd")
    good.write_text(TEXT)
    bad.write_text("[]")
    worse.write_text(TEXT + "- {conditionz: {}}\n")
    odd.write_bytes(b"\xff\xfe")

    assert ResourceModifiers.from_file(good) == ResourceModifiers.from_yaml(TEXT)
    for path, error in (
        (bad, CodecError),
        (worse, InvalidSpecError),
        (odd, CodecError),
    ):
        with pytest.raises(error, match=str(path)):
            ResourceModifiers.from_file(path)


def test_digest():
    """The digest is that of what is said: layout makes no difference, a value does."""
    one = ResourceModifiers.from_yaml(TEXT)
    same = ResourceModifiers.from_yaml(f"# as of today\n{TEXT}")
    other = ResourceModifiers.from_yaml(TEXT.replace("value: 3", "value: 4"))

    assert one.digest == same.digest != other.digest
    assert one.digest.startswith("sha256:")


def test_values_are_not_shown():
    """What a rule puts somewhere may be secret: neither it nor its options show it."""
    rules = ResourceModifiers.from_yaml(
        TEXT.replace("value: 3", "value: hunter2")
        + "- {conditions: {groupResource: secrets}, mergePatches: [{patchData: hunter3}]}"
    )

    options = RestoreOptions(resource_modifiers=rules)

    assert "/spec/replicas" in repr(options)
    assert "hunter" not in repr(options)
    assert "hunter" not in str(options.to_record())


def test_the_record_has_the_digest_only():
    """Whoever reads options again gives the same rules, and no others pass."""
    rules = ResourceModifiers.from_yaml(TEXT)
    options = RestoreOptions(resource_modifiers=rules)
    record = options.to_record()

    assert record["resource_modifiers"] == rules.digest
    assert RestoreOptions.from_record(record, resource_modifiers=rules) == options
    others = ResourceModifiers.from_yaml(TEXT.replace("value: 3", "value: 4"))
    for given in (None, others):
        with pytest.raises(
            InvalidConfigError, match="resource_modifiers: named is sha"
        ):
            RestoreOptions.from_record(record, resource_modifiers=given)
