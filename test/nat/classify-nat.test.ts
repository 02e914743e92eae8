import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseEndpoint } from '../../src/base/endpoint.ts'
import { classify, type Observation } from '../../src/nat/classify-nat.ts'
import { confirmChange } from '../../src/nat/confirm-nat-change.ts'

const at = (text: string) => {
  const endpoint = parseEndpoint(text)
  assert.ok(endpoint, text)
  return endpoint
}
/** Observations, each written as `server mapped`. */
const observationsOf = (...lines: string[]): Observation[] =>
  lines.map((line) => {
    const [server = '', mapped = ''] = line.split(' ')
    return { server: at(server), mapped: at(mapped) }
  })
const local = [at('192.168.1.2:4000')]

const table: [sentence: string, observations: Observation[], mapping: string, allocation: string][] = [
  ['no answer: unknown', [], 'unknown', 'unknown'],
  ['our own endpoint: none', observationsOf('1.0.0.1:1 192.168.1.2:4000'), 'none', 'preserving'],
  ['one server: unknown', observationsOf('1.0.0.1:1 9.0.0.1:4000'), 'unknown', 'preserving'],
  [
    'two addresses, one mapping: EIM',
    observationsOf('1.0.0.1:1 9.0.0.1:77', '1.0.0.2:1 9.0.0.1:77'),
    'EIM',
    'unknown',
  ],
  [
    'two ports of one address, one mapping: unknown, for ADM would show the same',
    observationsOf('1.0.0.1:1 9.0.0.1:77', '1.0.0.1:2 9.0.0.1:77'),
    'unknown',
    'unknown',
  ],
  [
    'another mapping for another address, the same for another port: ADM',
    observationsOf('1.0.0.1:1 9.0.0.1:77', '1.0.0.1:2 9.0.0.1:77', '1.0.0.2:1 9.0.0.1:78'),
    'ADM',
    'unknown',
  ],
  [
    'another mapping for another port: APDM',
    observationsOf('1.0.0.1:1 9.0.0.1:77', '1.0.0.1:2 9.0.0.1:78'),
    'APDM',
    'unknown',
  ],
  [
    'another mapping for another address, nothing more known: APDM, which promises least',
    observationsOf('1.0.0.1:1 9.0.0.1:4000', '1.0.0.2:1 9.0.0.1:78'),
    'APDM',
    'unknown',
  ],
]
for (const [sentence, observations, mapping, allocation] of table) {
  test(sentence, () => {
    const { profile } = classify(observations, local)
    assert.deepEqual(profile, { mapping, filtering: 'unknown', allocation: { type: allocation } })
  })
}

test('public endpoints are distinct, and IPv6 does not hide a hard IPv4 NAT', () => {
  const observations = observationsOf(
    '[2001::1]:1 [2001:aaaa::5]:4000',
    '1.0.0.1:1 9.0.0.1:77',
    '[2001::2]:1 [2001:aaaa::5]:4000',
    '1.0.0.2:1 9.0.0.1:78',
  )
  const view = classify(observations, [at('[2001:aaaa::5]:4000')])
  assert.equal(view.profile.mapping, 'APDM')
  assert.deepEqual(view.publicEndpoints, [at('[2001:aaaa::5]:4000'), at('9.0.0.1:77'), at('9.0.0.1:78')])
})

const before = classify(observationsOf('1.0.0.1:1 9.0.0.1:77', '1.0.0.2:1 9.0.0.1:77'), local)

test('one server that contradicts itself and the others changes nothing', () => {
  const [unexpected] = observationsOf('1.0.0.1:1 6.6.6.6:6')
  assert.equal(
    confirmChange(
      before,
      observationsOf('1.0.0.1:1 6.6.6.6:6', '1.0.0.2:1 9.0.0.1:77'),
      unexpected ?? null,
      local,
    ),
    before,
  )
})

test('a new endpoint that two answers agree on is accepted', () => {
  const [unexpected] = observationsOf('1.0.0.1:1 9.0.0.1:90')
  const after = confirmChange(before, observationsOf('1.0.0.1:1 9.0.0.1:90'), unexpected ?? null, local)
  assert.deepEqual(after.publicEndpoints, [at('9.0.0.1:90')])
  // Only one server answered this time, which cannot change what two said before.
  assert.equal(after.profile.mapping, 'EIM')
})

test('answers that all differ change nothing', () => {
  const [unexpected] = observationsOf('1.0.0.1:1 9.0.0.1:90')
  assert.equal(
    confirmChange(
      before,
      observationsOf('1.0.0.1:1 9.0.0.1:91', '1.0.0.2:1 9.0.0.1:92'),
      unexpected ?? null,
      local,
    ),
    before,
  )
})

test('when every destination has its own port, only a new address is a change', () => {
  const hard = classify(observationsOf('1.0.0.1:1 9.0.0.1:77', '1.0.0.2:1 9.0.0.1:78'), local)
  assert.equal(
    confirmChange(hard, observationsOf('1.0.0.1:1 9.0.0.1:80', '1.0.0.2:1 9.0.0.1:81'), null, local),
    hard,
  )
  const moved = confirmChange(
    hard,
    observationsOf('1.0.0.1:1 8.0.0.1:80', '1.0.0.2:1 8.0.0.1:81'),
    null,
    local,
  )
  assert.deepEqual(moved.publicEndpoints, [at('8.0.0.1:80'), at('8.0.0.1:81')])
})

test('when all servers agree that did not before, the new answer counts', () => {
  const hard = classify(observationsOf('1.0.0.1:1 6.6.6.6:6', '1.0.0.2:1 9.0.0.1:78'), local)
  const after = confirmChange(
    hard,
    observationsOf('1.0.0.1:1 9.0.0.1:78', '1.0.0.2:1 9.0.0.1:78'),
    null,
    local,
  )
  assert.equal(after.profile.mapping, 'EIM')
})

test('the first answer of a second server turns unknown into EIM', () => {
  const one = classify(observationsOf('1.0.0.1:1 9.0.0.1:77'), local)
  const after = confirmChange(
    one,
    observationsOf('1.0.0.1:1 9.0.0.1:77', '1.0.0.2:1 9.0.0.1:77'),
    null,
    local,
  )
  assert.equal(after.profile.mapping, 'EIM')
})
