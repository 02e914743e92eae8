import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Problem } from '../../src/base/problem.ts'
import { parseExposes, parseForwards } from '../../src/forward/parse-forwards.ts'

function problemOf(parse: () => unknown): Problem {
  try {
    parse()
  } catch (thrown) {
    assert.ok(thrown instanceof Problem)
    assert.equal(thrown.code, 'usage')
    return thrown
  }
  assert.fail('nothing was thrown')
}

test('exposed ports are parsed, each once, open to all if one of them is', () => {
  const exposes = parseExposes(['udp:27015', 'tcp:1=friends', 'udp:27015=friends', 'tcp:2=friends', 'tcp:2'])
  assert.deepEqual(exposes, [
    { protocol: 'udp', port: 27015, friendsOnly: false },
    { protocol: 'tcp', port: 1, friendsOnly: true },
    { protocol: 'tcp', port: 2, friendsOnly: false },
  ])
})

test('forwards are parsed, also with spaces, colons or equals signs in nicknames', () => {
  assert.deepEqual(parseForwards(['udp:4000=alice:27015', 'tcp:4000=alice:1', 'udp:4001=Anna = B: C:1']), [
    { protocol: 'udp', localPort: 4000, nick: 'alice', port: 27015 },
    { protocol: 'tcp', localPort: 4000, nick: 'alice', port: 1 },
    { protocol: 'udp', localPort: 4001, nick: 'Anna = B: C', port: 1 },
  ])
})

test('an invalid option is rejected in one line with an example', () => {
  for (const text of [
    '',
    'udp',
    'udp:',
    '27015',
    'udp:0',
    'udp:65536',
    'udp:-1',
    'udp:1x',
    'UDP:1',
    'udp:1e3',
    'sctp:1',
    'udp:1=',
    'udp:1=anna',
  ]) {
    const { line } = problemOf(() => parseExposes([text]))
    assert.ok(line.includes(`"--expose ${text}"`) && line.includes('--expose udp:27015'), line)
  }
  const forwards = ['', 'udp:1', 'udp:1=alice', 'udp:1=:2', 'udp:0=alice:1', 'udp:1=alice:0', 'udp:x=alice:1']
  for (const text of [...forwards, 'udp:1=alice:70000', `udp:1=${'a'.repeat(65)}:1`]) {
    const { line } = problemOf(() => parseForwards([text]))
    assert.ok(line.includes('--forward udp:27015=alice:27015'), line)
  }
})

test('two forwards cannot have one local port, and 65 options are too many', () => {
  assert.match(problemOf(() => parseForwards(['udp:1=alice:2', 'udp:1=bob:2'])).line, /local UDP port 1\./)
  const many = Array.from({ length: 65 }, (_, i) => `udp:${i + 1}`)
  assert.match(problemOf(() => parseExposes(many)).line, /65 times/)
})
