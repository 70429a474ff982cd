"""Guards through the chat: set by a button and typed, loosened twice, locked (R5)."""

from __future__ import annotations

import pytest

from core.domain.result_guard import GuardScope, ScopeKind
from tests.fakes.bot_world import World
from tests.fakes.views import an_account


@pytest.mark.row("R5")
async def test_guard_is_set_loosened_and_locked_from_the_chat(world: World):
    """Each change asks first; a looser one waits for its second confirmation."""
    await world.connect(an_account())
    await world.start()
    person = world.owner
    await person.say("/guard")
    await person.sees("All accounts")
    page = await person.tap("Zerodha - Main")
    await person.reads(page, "No guard")
    await person.tap("Stop")
    await person.reads(page, "A loss of the day")
    await person.tap("-₹5,000")
    await person.reads(page, "Set the guard of Zerodha - Main?")
    await person.tap("Yes, set it")
    await person.reads(page, "✅ Set.")
    await person.tap("Lock & trail")
    await person.tap("Type another")
    await person.sees("Send X and Y")
    await person.say("10000 20000")
    await person.sees("it must keep less.")
    await person.say("10000 5000 1000 500")
    question = await person.sees("then per ₹1,000 keep ₹500", anywhere=True)
    await person.tap("Yes, set it", message=question)
    page = question["id"]
    await person.reads(page, "✅ Set.")
    await person.tap("Remove", anywhere=True)
    await person.reads(page, "needs a second confirmation")
    await person.tap("Yes, remove it", anywhere=True)
    await person.reads(page, "Looser waits: nothing")
    await person.tap("Confirm it again", anywhere=True)
    await person.sees("Too early: confirm it again in", anywhere=True)
    world.clock.wall.seconds += 121
    await person.tap("Confirm it again", anywhere=True)
    await person.sees("✅ Loosened.", anywhere=True)
    scope = (await world.control.guards.overview())[1].scope
    assert scope.kind is ScopeKind.ACCOUNT
    assert not (await world.control.guards.get(scope)).guard.is_set
    await person.say("/guard")
    page = await person.tap("Zerodha - Main")
    await person.tap("Stop")
    await person.reads(page, "Tap one, or send your own.")
    await person.say("5k")
    typed = await person.reads(page, "Set the guard of Zerodha - Main?")
    assert "-₹5,000" in typed["text"].replace("\N{WORD JOINER}", "")


@pytest.mark.row("R5")
async def test_second_user_and_lock_are_told_in_the_chat(world: World):
    """What somebody else has changed meanwhile, and what a lock refuses."""
    account = an_account()
    await world.connect(account)
    await world.start()
    person = world.owner
    scope = GuardScope(ScopeKind.ACCOUNT, account.broker_id)
    await person.say("/guard")
    page = await person.tap("Zerodha - Main")
    await person.tap("Target")
    await person.tap("+₹5,000")
    await person.reads(page, "Set the guard")
    await world.store.insert("result_guards", {"_id": scope.key, "version": 1, "changed_by": "77"})
    await person.tap("Yes, set it")
    await person.sees("User 77 has changed this guard")
    await person.say("/guard")
    page = await person.tap("Zerodha - Main")
    await person.reads(page, "No guard")
    await person.tap("Stop")
    await person.tap("-₹1,000")
    question = await person.reads(page, "New: stop")
    await person.tap("Yes, set it", message=question)
    await person.reads(page, "✅ Set.")
    await person.tap("🔒 Lock")
    await person.reads(page, "nobody can loosen")
    await person.tap("Yes, lock it")
    await person.reads(page, "🔒 Locked until")
    await person.tap("Remove")
    await person.sees("it can be tightened, and not loosened")
