"""`python -m tests.mutations [NAME…]`: which check notices which rule's absence; ends with 1 if one goes unnoticed."""

import sys

from tests.mutations.run import ALL, copy_of_the_project, try_out


def main(names: list[str]) -> int:
    """Try these mutations, or all."""
    unknown = set(names) - {mutation.name for mutation in ALL}
    if unknown:
        print(f"there is no mutation {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    survived = 0
    with copy_of_the_project() as copy:
        for mutation in ALL:
            if names and mutation.name not in names:
                continue
            verdict = try_out(mutation, copy)
            survived += not verdict.caught_by
            print(f"{mutation.name:36} {verdict.caught_by or f'SURVIVED: {mutation.breaks}'}", flush=True)
    print(f"survived: {survived}")
    return 1 if survived else 0


sys.exit(main(sys.argv[1:]))
