// What IMAP servers do on bad days: a goodbye, a full house, a folder that was made anew, a line half dead.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Problem } from '../../src/base/problem.ts'
import type { ImapMailboxTiming } from '../../src/mail/imap-mailbox.ts'
import { openMailbox } from '../../src/mail/open.ts'
import { systemClock as clock } from '../../src/net/system-clock.ts'
import { lacks } from '../harness/needs.ts'
import { startPostOffice } from '../harness/post-office.ts'
import { fetchUntil, rawMail, testSubject, textOf, watchMailbox } from '../harness/post-office-mail.ts'
import { type ImapScript, startScriptedImap } from '../harness/scripted-imap.ts'

const retry = { firstMs: 20, lastMs: 100 }

async function scripted(script: ImapScript, timing: Partial<ImapMailboxTiming> = {}) {
  const server = await startScriptedImap(script)
  const filter = { subject: testSubject, address: 'ann@mail.test', maxBytes: 20_000 }
  const mailbox = openMailbox(server.url, filter, { clock, imap: { retry, ...timing } })
  return { server, mailbox, watched: watchMailbox(mailbox) }
}

test('a goodbye in the middle is told with its reason, and the mailbox comes back by itself', async () => {
  const { server, mailbox, watched } = await scripted({})
  await mailbox.open()
  await mailbox.fetch(10)
  server.say('* BYE Server is shutting down for maintenance', 'close')
  const lost = await watched.nextState('disconnected')
  assert.match(lost.state === 'disconnected' ? lost.reason : '', /maintenance|closed/)
  await watched.nextState('connected')
  assert.deepEqual(await mailbox.fetch(10), [])
  await mailbox.close()
  await server.stop()
})

test('a server that is full at the door is tried again until it is not', async () => {
  const { server, mailbox, watched } = await scripted({
    greeting: (connection) => (connection > 1 && connection < 5 ? '* BYE Too many connections' : null),
    answer: (verb, connection) => (verb === 'IDLE' && connection === 1 ? ['* BYE Bye', 'close'] : null),
  })
  await mailbox.open()
  await watched.nextState('connected')
  await watched.nextState('connected')
  assert.equal(server.connections(), 5)
  await mailbox.close()
  await server.stop()
})

for (const [answer, code, waitsLong] of [
  ['NO [UNAVAILABLE] Temporary authentication failure', 'mail-connection', false],
  ['NO [AUTHENTICATIONFAILED] Wrong', 'mail-login', true],
  ['NO [LIMIT] Too many simultaneous connections. (Failure)', 'mail-login', true],
] as const) {
  test(`a login answered "${answer}" is a ${code} at the start, and tried again ${waitsLong ? 'after minutes' : 'soon'} later`, async () => {
    let refusing = true
    const { server, mailbox } = await scripted({
      answer: (verb) => (refusing && /LOGIN|AUTHENTICATE/.test(verb) ? [`TAG ${answer}`] : null),
    })
    await assert.rejects(mailbox.open(), (error) => error instanceof Problem && error.code === code)
    refusing = false
    const filter = { subject: testSubject, address: 'ann@mail.test', maxBytes: 20_000 }
    const second = openMailbox(server.url, filter, { clock, imap: { retry } })
    const watched = watchMailbox(second)
    await second.open()
    refusing = true
    server.say('* BYE', 'close')
    await watched.nextState('disconnected')
    const later = await watched.nextState('disconnected')
    assert.ok(
      later.state === 'disconnected' && later.retryInMs >= 200_000 === waitsLong,
      JSON.stringify(later),
    )
    await second.close()
    await server.stop()
  })
}

test('a search, a fetch or a deletion that is refused is a Problem, never an empty mailbox', async () => {
  for (const refused of ['UID SEARCH', 'UID STORE']) {
    const { server, mailbox } = await scripted({
      answer: (verb) => (verb === refused ? ['TAG NO not now'] : null),
    })
    await mailbox.open()
    if (refused === 'UID SEARCH') await assert.rejects(mailbox.fetch(10), Problem)
    else await assert.rejects(mailbox.remove(['1:5']), Problem)
    await mailbox.close()
    await server.stop()
  }
})

test('a server that answers nothing any more is given up, and no operation hangs', async () => {
  let silent = false
  const { server, mailbox, watched } = await scripted(
    { answer: () => (silent ? [] : null) },
    { watchdogMs: 100, answerMs: 100, operationMs: 200 },
  )
  await mailbox.open()
  await mailbox.fetch(10)
  silent = true
  await watched.nextState('disconnected')
  await assert.rejects(mailbox.fetch(10), Problem)
  silent = false
  await watched.nextState('connected')
  await mailbox.close()
  await server.stop()
})

test('a folder made anew under another UIDVALIDITY is read from its beginning, and old names remove nothing', {
  skip: lacks('postfix', 'dovecot'),
}, async () => {
  const office = await startPostOffice()
  try {
    const address = office.address('ann')
    const folder = office.maildirOf('ann')
    for (const text of ['one', 'two']) {
      writeFileSync(join(folder, 'new', `${text}.test`), rawMail({ to: address, text }))
    }
    const filter = { subject: testSubject, address, maxBytes: 20_000 }
    const mailbox = openMailbox(office.imapUrl('ann'), filter, { clock, imap: { retry } })
    const watched = watchMailbox(mailbox)
    await mailbox.open()
    const before = await mailbox.fetch(10)
    assert.equal(before.length, 2)
    await office.stopImap()
    const list = join(folder, 'dovecot-uidlist')
    // The first line: "3 V<validity> N<next> G<guid>".
    writeFileSync(
      list,
      readFileSync(list, 'utf8')
        .replace(/ V\d+ N\d+/, ' V77 N1')
        .split('\n')
        .slice(0, 1)
        .join('\n')
        .concat('\n'),
    )
    for (const name of readdirSync(folder)) if (name.startsWith('dovecot.index')) rmSync(join(folder, name))
    await office.startImap()
    await watched.nextState('disconnected')
    await watched.nextState('connected')
    const after = await fetchUntil(mailbox, watched, 2)
    assert.deepEqual(after.map(textOf).toSorted(), before.map(textOf).toSorted())
    assert.ok(after.every(({ ref }) => !before.some((old) => old.ref === ref)))
    await mailbox.remove(before.map(({ ref }) => ref))
    assert.equal((await mailbox.fetch(10)).length, 2)
    await mailbox.remove(after.map(({ ref }) => ref))
    assert.equal((await mailbox.fetch(10)).length, 0)
    await mailbox.close()
  } finally {
    await office.stop()
  }
})
