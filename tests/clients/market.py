"""What every driver is told, and how its wallets sign."""

import json
import sys
from dataclasses import dataclass

from eth_account import Account
from eth_account.signers.local import LocalAccount

QUANTITIES = ("chainId", "nonce", "value", "gas", "maxFeePerGas", "maxPriorityFeePerGas", "gasPrice", "type")


@dataclass
class Market:
    """The market, and the run that this client is to play."""

    url: str
    run: int
    agent: int
    poster: LocalAccount
    worker: LocalAccount


def market() -> Market:
    """Reads the market from standard input."""
    told = json.load(sys.stdin)
    poster, worker = Account.from_key(told["posterKey"]), Account.from_key(told["workerKey"])
    return Market(told["url"], told["run"], told["agent"], poster, worker)


def sign(transaction: dict, wallet: LocalAccount) -> str:
    """Signs a prepared transaction, whose quantities are hex where eth-account takes numbers."""
    numbers = {name: int(value, 16) for name, value in transaction.items() if name in QUANTITIES}
    return "0x" + wallet.sign_transaction({**transaction, **numbers}).raw_transaction.hex().removeprefix("0x")


def expect(what: str, actual: object, expected: object) -> None:
    """Ends the driver unless `actual` is what was expected."""
    if actual != expected:
        raise SystemExit(f"{what} is {actual}, not {expected}")
