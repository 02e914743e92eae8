import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type Pop3Answer,
  type Pop3Form,
  Pop3ResponseParser,
} from '../../src/mail/pop3/pop3-response-parser.ts'

const line: Pop3Form = { form: 'line' }
const lines = (mostBytes: number): Pop3Form => ({ form: 'lines', mostBytes })

/** Dot-stuffing of a server: each line that begins with a dot gets another dot. */
function stuffed(body: string): string {
  return body
    .split('\r\n')
    .map((text) => (text.startsWith('.') ? `.${text}` : text))
    .join('\r\n')
}

/** Splits the bytes at these positions and reads one answer for each form. */
function read(bytes: Buffer, cuts: readonly number[], forms: readonly Pop3Form[]): Pop3Answer[] {
  const parser = new Pop3ResponseParser()
  const answers: Pop3Answer[] = []
  const positions = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  for (let i = 1; i < positions.length; i++) {
    parser.push(bytes.subarray(positions[i - 1], positions[i]))
    for (;;) {
      const form = forms[answers.length]
      const answer = form && parser.take(form)
      if (!answer) break
      answers.push(answer)
    }
  }
  return answers
}

const bodies = fc
  .array(fc.oneof(fc.string(), fc.constantFrom('', '.', '..', '.x', '\r', '\n', '\0', 'ü')), { maxLength: 8 })
  .map((parts) => parts.map((part) => `${part.replace(/\r\n/g, '')}\r\n`).join(''))

test('answers are read correctly wherever the network splits them', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(fc.string(), bodies).map(([text, body]) => ({ text: text.replace(/[\r\n]/g, ''), body })),
      ),
      fc.array(fc.nat(), { maxLength: 12 }),
      (answers, cuts) => {
        const wire = answers.map(({ text, body }) => `+OK ${text}\r\n${stuffed(body)}.\r\n`).join('')
        const got = read(
          Buffer.from(wire),
          cuts,
          answers.map(() => lines(1_000_000)),
        )
        assert.deepEqual(
          got.map(({ text, body }) => ({ text, body: Buffer.from(body).toString() })),
          answers,
        )
      },
    ),
  )
})

test('a body longer than the limit is truncated, and the next answer is still found', () => {
  fc.assert(
    fc.property(bodies, fc.nat({ max: 40 }), fc.array(fc.nat(), { maxLength: 12 }), (body, most, cuts) => {
      const wire = Buffer.from(`+OK\r\n${stuffed(body)}.\r\n-ERR [IN-USE] later\r\n`)
      const [first, second] = read(wire, cuts, [lines(most), line])
      assert.ok(first && second)
      assert.ok(first.body.length <= most)
      assert.equal(first.truncated, Buffer.byteLength(stuffed(body)) > most)
      assert.ok(Buffer.from(body).subarray(0, first.body.length).equals(first.body))
      assert.deepEqual([second.ok, second.text], [false, '[IN-USE] later'])
    }),
  )
})

test('a refusal of a command with a long answer is one line', () => {
  const [first, second] = read(Buffer.from('-ERR no such message\r\n+OK\r\n'), [], [lines(10), line])
  assert.deepEqual([first?.ok, first?.text, second?.ok], [false, 'no such message', true])
})

test('other protocols and endless lines are refused', () => {
  for (const wire of [
    '220 smtp.example.org ESMTP\r\n',
    'HTTP/1.1 400\r\n',
    '* OK IMAP4rev1\r\n',
    '+OKAY\r\n',
  ]) {
    assert.throws(() => read(Buffer.from(wire), [], [line]), /does not speak POP3/, wire)
  }
  assert.throws(() => read(Buffer.alloc(100_000, 'x'), [], [line]), /too long/)
})

test('any bytes give an answer or an error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.array(fc.nat(), { maxLength: 5 }), (bytes, cuts) => {
      try {
        read(Buffer.from(bytes), cuts, [lines(50), line, lines(50)])
      } catch (error) {
        assert.ok(error instanceof Error)
      }
    }),
  )
})
