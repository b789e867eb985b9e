# Follows a block of the README: does what each line of standard input asks for, and writes the answer as a line.

import json
import sys

for line in sys.stdin:
    way, *rest = json.loads(line)
    print(json.dumps({"act": act, "withPermit": with_permit, "relayed": relayed, "signed": signed}[way](*rest)), flush=True)
