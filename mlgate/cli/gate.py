"""`mlgate gate`: may this version be promoted?"""

from mlgate.cli.admission import decide, show
from mlgate.cli.console import Output, OutputOption, PolicyOption, UriArgument

NAME = "gate"
HELP = "Decide from evidence and policy alone whether a version may be promoted. Example: mlgate gate models:/churn/3"


def command(uri: UriArgument, policy: PolicyOption = None, output: OutputOption = Output.TEXT) -> int:
    """Decide; the exit status is the decision."""
    decision = decide(uri, policy)
    show(decision, output)
    return decision.admission.exit_code
