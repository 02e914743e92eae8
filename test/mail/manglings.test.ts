// A letter is still readable after each change that mail systems make, and after several of them.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { armorLetter, readArmor } from '../../src/letter/armor.ts'
import { limits } from '../../src/letter/limits.ts'
import { parseMail } from '../../src/mail/mime/parse-mail.ts'
import { mailForms, relays, textManglings } from '../harness/mail-manglings.ts'
import { realCrypto as crypto } from '../harness/seeded-crypto.ts'

const sealed = crypto.hash(new Uint8Array([1, 2, 3]), 64)
const letter = (bytes: Uint8Array) => armorLetter(crypto, bytes)

/** 'read', or why the letter could not be read. */
async function outcome(body: string, relay: (mail: string) => string, bytes = sealed): Promise<string> {
  const mail = relay(
    `From: ann@mail.test\r\nTo: host@mail.test\r\nSubject: data\r\nMIME-Version: 1.0\r\n${body}`,
  )
  const { content: read } = await parseMail(Buffer.from(mail, 'latin1'), limits.mailBytes)
  if (!read.ok) return read.refusal
  const armor = readArmor(crypto, read.mail.text)
  if (!armor.ok) return `${armor.refusal}: ${JSON.stringify(read.mail.text.slice(0, 2_000))}`
  assert.deepEqual(armor.boxes, [bytes])
  return 'read'
}

const unchanged = (mail: string) => mail
const plain = mailForms['8bit text'] as (text: string) => string

for (const [name, mangle] of Object.entries(textManglings)) {
  test(`a letter survives ${name}`, async () => {
    assert.equal(await outcome(plain(mangle(letter(sealed))), unchanged), 'read')
  })
}

for (const [name, form] of Object.entries(mailForms)) {
  test(`a letter survives as ${name}`, async () => {
    assert.equal(await outcome(form(letter(sealed)), unchanged), 'read')
  })
}

for (const [name, relay] of Object.entries(relays)) {
  test(`a letter survives ${name}`, async () => {
    assert.equal(await outcome(plain(letter(sealed)), relay), 'read')
  })
}

test('a letter of any size survives any three changes of its text in any form over any relay', async () => {
  const texts = fc.array(fc.constantFrom(...Object.keys(textManglings)), { maxLength: 3 })
  const forms = fc.constantFrom(...Object.keys(mailForms))
  const relayNames = fc.constantFrom(...Object.keys(relays))
  await fc.assert(
    fc.asyncProperty(
      texts,
      forms,
      relayNames,
      fc.uint8Array({ minLength: 1, maxLength: 3_000 }),
      async (names, form, relayName, bytes) => {
        const text = names.reduce((mangled, name) => textManglings[name]?.(mangled) ?? mangled, letter(bytes))
        const body = mailForms[form]?.(text) ?? ''
        assert.equal(await outcome(body, relays[relayName] ?? unchanged, bytes), 'read')
      },
    ),
    { numRuns: 1_500 },
  )
})

test('docs/protocol.md names every change that letters survive', () => {
  const document = readFileSync('docs/protocol.md', 'utf8').replaceAll('\n', ' ')
  for (const name of [textManglings, mailForms, relays].flatMap(Object.keys)) {
    const isNamed = [';', '.'].some((end) => document.includes(` ${name}${end} `))
    assert.ok(isNamed || name === 'as it is', name)
  }
})
