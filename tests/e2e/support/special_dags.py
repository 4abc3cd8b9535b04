"""DAGs whose tasks need more of Python than `dags` says in every language: further settings, and further orders."""

from tests.e2e.support.cluster import Cluster
from tests.e2e.support.dags import DagSpec, python_source

_ORDERS = '''

def burn(megabytes, seconds):
    """Hold memory and use processor time."""
    import time

    held = b"x" * (megabytes << 20)
    began = time.process_time()
    while time.process_time() - began < seconds:
        sum(range(1000))
    return len(held)


def flood(lines, length):
    """Print lines that hardly compress."""
    for _ in range(lines):
        print(os.urandom(length // 2).hex())
    sys.stdout.flush()


def look_around():
    """Everything that this process and the one that it was forked from show of themselves."""
    shown = {}
    for name, pid in (("child", os.getpid()), ("zygote", os.getppid())):
        for part in ("environ", "cmdline"):
            with open(f"/proc/{pid}/{part}", "rb") as file:
                shown[f"{name} {part}"] = file.read().decode(errors="replace")
        for number in os.listdir(f"/proc/{pid}/fd"):
            try:
                shown[f"{name} fd {number}"] = os.readlink(f"/proc/{pid}/fd/{number}")
            except FileNotFoundError:
                continue  # the one that listed them
    return shown


def many_lines(text, where):
    """Say a text in every form that a careless task might."""
    if where == "stdout":
        print(text)
    elif where == "stderr":
        print(text, file=sys.stderr)
    elif where == "logging":
        log.warning("it is %s", text, extra={"secret": text, "nested": {"in": [text]}})
    elif where == "exception":
        try:
            raise ValueError(text)
        except ValueError:
            log.exception("caught")
    sys.stdout.flush()


class Failed(BaseException):
    """Passes the puppet, which answers to an `Exception`."""


def fail_in_task(text):
    try:
        raise KeyError(text)
    except KeyError as error:
        raise Failed(f"it was {text}") from error


ORDERS |= {"burn": burn, "flood": flood, "look_around": look_around}
ORDERS |= {"many_lines": many_lines, "fail_in_task": fail_in_task}
'''


def write_special(cluster: Cluster, dag: DagSpec, **settings: object) -> None:
    """Write a DAG whose tasks have further settings, and whose puppets obey the further orders of this module."""
    source = python_source(dag, cluster.stage.path)
    given = "".join(f"{name}={value!r}, " for name, value in settings.items())
    head, first, rest = source.partition("\n\n@task(")
    (cluster.dags / f"{dag.dag_id}.py").write_text(head + _ORDERS + (first + rest).replace("@task(", f"@task({given}"))
