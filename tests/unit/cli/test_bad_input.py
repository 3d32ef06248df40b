"""Bad input gets a clear error, the right exit code and the command that helps."""

import pytest


@pytest.mark.parametrize(
    ("arguments", "code", "facts", "following"),
    [
        (
            ["backup", "get", "--location", "gopher://host/b"],
            2,
            ["no plugin knows addresses gopher://", "file://", "s3://", "sftp://"],
            "kbackup plugin get",
        ),
        (
            ["backup", "get", "--location", "nowhere"],
            2,
            ["has no location 'nowhere'", "a directory is written ./nowhere"],
            "kbackup doctor --location URL",
        ),
        (
            ["backup", "get", "--location", "s3:bucket"],
            2,
            ["an address is written s3://..., a directory is written ./s3:bucket"],
            "kbackup doctor --location URL",
        ),
        (
            ["backup", "get", "--location", "s3:/bucket/x"],
            2,
            ["begins with 's3:/'", "an address is written s3://..."],
            "kbackup backup get --help",
        ),
        (
            ["backup", "create", "Not_A_Name"],
            2,
            ["'Not_A_Name' must consist of lower-case letters"],
            "kbackup backup create --help",
        ),
        (
            ["backup", "create", "../../etc"],
            2,
            ["'../../etc' must consist of"],
            "kbackup backup create --help",
        ),
        (
            ["backup", "create", "a", "--labels", "a b=c d"],
            2,
            ["'a b' is not a label's name", "'c d' is not a label's value"],
            "kbackup backup create --help",
        ),
        (
            ["backup", "create", "a", "--include-namespaces", "shop,*"],
            2,
            ["'*' must stand alone"],
            "kbackup backup create --help",
        ),
        (
            [
                *("backup", "create", "a", "--include-namespaces", "shop,b"),
                *("--exclude-namespaces", "shop"),
            ],
            2,
            ["shop"],
            "kbackup backup create --help",
        ),
        (
            ["backup", "create", "a", "--selector", "a=b", "--or-selector", "c=d"],
            2,
            ["labelSelector and orLabelSelectors cannot be combined"],
            "kbackup backup create --help",
        ),
        (
            ["backup", "create", "a", "--selector", "a in ("],
            2,
            ["'a in ('"],
            "kbackup backup create --help",
        ),
        (
            ["backup", "create", "a", "--ttl", "soon"],
            2,
            ["'soon' is not a duration"],
            "kbackup backup create --help",
        ),
        (
            ["backup", "create", "a", "--labels", "nothing"],
            2,
            ["'nothing' is not KEY=VALUE"],
            "kbackup backup create --help",
        ),
        (
            ["backup", "create"],
            2,
            ["Missing argument 'NAME'"],
            "kbackup backup create --help",
        ),
        (["backup", "describe", "b"], 1, ["not found"], "kbackup backup get"),
        (["backup", "logs", "b"], 1, ["not found"], "kbackup backup get"),
        (["backup", "ls", "b"], 1, ["not found"], "kbackup backup get"),
        (["backup", "show", "b", "pod/a"], 1, ["not found"], "kbackup backup get"),
        (
            ["backup", "show", "b", "pod"],
            2,
            ["'pod' is not KIND/[NS/]NAME"],
            "kbackup backup show --help",
        ),
        (["backup", "download", "b"], 1, ["not found"], "kbackup backup get"),
        (["backup", "verify", "b"], 1, ["not found"], "kbackup backup get"),
        (
            ["backup", "delete", "b", "--confirm"],
            1,
            ["not found"],
            "kbackup backup get",
        ),
        (
            ["restore", "plan", "--from-backup", "b"],
            1,
            ["backup b: not found"],
            "kbackup backup get",
        ),
        (
            ["restore", "plan", "r"],
            2,
            ["Missing option '--from-backup'"],
            "kbackup restore plan --from-backup r",
        ),
        (
            ["restore", "plan", "--from-backup", "b", "--namespace-mappings", "a"],
            2,
            ["'a' is not KEY:VALUE"],
            "kbackup restore plan --help",
        ),
        (
            ["restore", "plan", "R", "--from-backup", "b", "--selector", "a=b"],
            2,
            ["restore name 'R'"],
            "kbackup restore plan --help",
        ),
        (
            [
                *("restore", "plan", "--from-backup", "b"),
                *("--existing-resource-policy", "replace"),
            ],
            2,
            ["'replace' is not one of 'none', 'update'"],
            "kbackup restore plan --help",
        ),
        (["bckp", "create"], 2, ["No such command 'bckp'"], "kbackup --help"),
        (["-o", "xml", "version"], 2, ["'xml' is not one of"], "kbackup --help"),
        (
            ["backup", "create", "a", "--context", "prod"],
            2,
            ["has no context prod", "It has: simulated"],
            "kbackup doctor --kubeconfig FILE --context NAME",
        ),
        (
            ["backup", "create", "a", "--kubeconfig", "/no/such/file"],
            2,
            ["kubeconfig /no/such/file does not exist"],
            "kbackup doctor --kubeconfig FILE",
        ),
    ],
    ids=lambda value: " ".join(value[:4]) if isinstance(value, list) else None,
)
def test_bad_input(kbackup, arguments, code, facts, following):
    """The message states the fact, the exit code is right, the last line helps."""
    done = kbackup(*arguments)

    assert done.code == code
    assert done.out == ""
    for fact in facts:
        assert fact in done.err
    assert done.next.startswith(f"Next: {following}")


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (["--include-namespaces", ""], "--include-namespaces: it is empty"),
        (["--include-namespaces="], "--include-namespaces: it is empty"),
        (["--include-namespaces", " , "], "' , ' names nothing"),
        (["--include-resources", ""], "--include-resources: it is empty"),
        (["--namespace-mappings", ""], "--namespace-mappings: it is empty"),
        (["--namespace-mappings", ","], "',' names nothing"),
        (["--selector", ""], "--selector: it is empty"),
        (["-l", " "], "a label selector is empty"),
        (["--or-selector", "a=b or "], "a label selector is empty"),
        (["--expect-cluster", ""], "--expect-cluster: it is empty"),
        (["--context", ""], "--context: it is empty"),
        (["--location", ""], "--location: it is empty"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_an_option_with_an_empty_value(backed_up, simulated, words, fact):
    """A variable that is not set does not mean everything, any cluster, or no copy."""
    before = simulated.objects("secrets", "shop")

    done = backed_up("restore", "create", "--from-backup", "shop-1", *words, "--yes")
    leading = (
        backed_up(*words, "restore", "get") if words[0].startswith("--co") else done
    )

    assert (done.code, leading.code) == (2, 2)
    assert fact in done.err
    assert backed_up("restore", "get", "-o", "json").out.count('"metadata"') == 0
    assert simulated.objects("secrets", "shop") == before


@pytest.mark.parametrize(
    "words", [("a:b,a:c",), ("a:b", "--namespace-mappings", "a:c")]
)
def test_a_key_with_two_values(kbackup, words):
    """Which of the two is meant is not guessed."""
    done = kbackup(
        "restore", "plan", "--from-backup", "b", "--namespace-mappings", *words
    )

    assert done.code == 2
    assert "a is given twice, as b and as c" in done.err


@pytest.mark.parametrize("setting", ["a", "a:b", ":b=c", "a:=c", " :b=c"])
def test_half_a_setting_of_an_action(kbackup, setting):
    """A setting lacks nothing: neither action nor key nor sign."""
    words = ("--from-backup", "b", "--action-setting", setting)

    done = kbackup("restore", "plan", *words)

    assert done.code == 2
    assert f"{setting!r} is not ACTION:KEY=VALUE" in done.err


def test_a_setting_with_two_values(kbackup):
    """Which of the two is meant is not guessed; another action's is another one."""
    one, two = ("--action-setting", "a:k=b"), ("--action-setting", "b:k=c")

    done = kbackup(
        *("restore", "plan", "--from-backup", "b", *one, *two),
        *("--action-setting", "a:k=d"),
    )

    assert done.code == 2
    assert "k is given twice, as b and as d" in done.err


def test_several_broken_rules_are_all_named(kbackup):
    """Nobody has to call again to learn of the second mistake."""
    done = kbackup(
        *("backup", "create", "A", "--include-namespaces", "a,*"),
        *("--exclude-resources", "*"),
    )

    assert done.code == 2
    assert done.err.count("\n  - ") == 3


def test_no_location_at_all(offline, monkeypatch):
    """Without a location all ways to give one are named."""
    monkeypatch.delenv("KBACKUP_LOCATION")

    done = offline("backup", "get")

    assert done.code == 2
    assert "--location" in done.err
    assert "KBACKUP_LOCATION" in done.err


def test_provider_whose_package_is_missing(offline, monkeypatch):
    """An address of a provider that lacks its package says what to install."""
    monkeypatch.setattr("kbackup.plugins._offers.find_spec", lambda _: None)

    done = offline("backup", "get", "--location", "s3://bucket/prefix")

    assert done.code == 1
    assert "pip install" in done.err
    assert done.next == "Next: kbackup plugin get"


def test_broken_file_of_settings(offline, monkeypatch, tmp_path):
    """A file of settings that cannot be read is named."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("KBACKUP_LOCATION")
    (tmp_path / "kbackup").mkdir()
    (tmp_path / "kbackup/config.toml").write_text("locations = [")

    done = offline("backup", "get")

    assert done.code == 2
    assert f"{tmp_path}/kbackup/config.toml" in done.err


def test_named_location(backed_up, directory, monkeypatch, tmp_path):
    """A name of the file of settings stands for its address."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("KBACKUP_LOCATION")
    (tmp_path / "kbackup").mkdir()
    (tmp_path / "kbackup/config.toml").write_text(
        f'default-location = "p"\n[locations.p]\nurl = "{directory}"\n'
    )

    by_default = backed_up("backup", "get", "shop-1")
    by_name = backed_up("backup", "get", "shop-1", "--location", "p")

    assert by_default.code == by_name.code == 0


def test_no_cluster_configured(offline):
    """Without a kubeconfig, outside of a Pod, the error says so."""
    done = offline("backup", "create", "a")

    assert done.code == 2
    assert "no cluster is configured" in done.err


def test_unreachable_cluster(offline, monkeypatch, tmp_path):
    """A server that does not answer is named, with what was asked of it."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "{apiVersion: v1, kind: Config, current-context: x,"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}],"
        "users: [{name: u, user: {token: t}}],"
        "contexts: [{name: x, context: {cluster: c, user: u}}]}"
    )
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))

    done = offline("backup", "create", "a")

    assert done.code == 1
    assert "no answer" in done.err
    assert "Cluster: http://127.0.0.1:1 (context x)" in done.err
    assert done.next == "Next: kbackup doctor"
    assert "No backups" in offline("backup", "get").err


def test_forbidding_cluster(kbackup, simulated):
    """A caller who may list nothing learns verb and resource; nothing is published."""
    simulated.faults.forbid(verb="list")

    done = kbackup("backup", "create", "a", "--include-resources", "configmaps")

    assert done.code in {1, 3}
    assert "cannot list" in done.err
    assert "forbidden" in done.err


def test_wrong_token(kbackup, simulated, monkeypatch, tmp_path):
    """A caller whom the server does not know is told so, without the token."""
    simulated.faults.fail(status=401, times=None)

    done = kbackup("backup", "create", "a")

    assert done.code == 1
    assert "not logged in" in done.err


def test_target_without_the_type(backed_up, monkeypatch, tmp_path):
    """A type that the target does not serve is a conflict of the plan, by name."""
    from kbackup.testing import SimulatedCluster  # noqa: PLC0415 - a second one

    with SimulatedCluster() as target:
        kubeconfig = target.kubeconfig(tmp_path / "target")
        done = backed_up(
            *("restore", "plan", "--from-backup", "shop-1"),
            *("--kubeconfig", kubeconfig, "--exclude-resources"),
            "customresourcedefinitions",
        )

    assert done.code == 0
    line = next(x for x in done.out.splitlines() if "spring-sale" in x)
    assert "not served" in line or "does not serve" in line


def test_full_or_failing_store_leaves_nothing_visible(kbackup, directory, monkeypatch):
    """A store that fails in the middle ends the run; no backup is listed."""
    from kbackup.errors import StoreFullError  # noqa: PLC0415 - a fault
    from kbackup_plugins_local._directory import Directory  # noqa: PLC0415 - a fault

    put = Directory.put

    def fail_late(self, key, *arguments, **options):
        if key.endswith("kbackup-manifest.json"):
            raise StoreFullError(key)
        return put(self, key, *arguments, **options)

    monkeypatch.setattr(Directory, "put", fail_late)
    done = kbackup("backup", "create", "a", "--include-namespaces", "shop")
    monkeypatch.undo()

    assert done.code == 1
    assert "no space left" in done.err
    assert done.next == "Next: kbackup location validate"
