import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Problem } from '../../src/base/problem.ts'
import { loadAgentConfig } from '../../src/config/load-config.ts'
import { knownNat } from '../../src/config/nat-settings.ts'

const example = readFileSync('config/agent.example.toml', 'utf8')

/** The profile from these lines of [nat], or the error line. */
function read(lines: string, environment: Record<string, string> = {}): object | string {
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-nat-'))
  const file = join(folder, 'agent.toml')
  try {
    writeFileSync(file, example.replace('[nat]\n', `[nat]\n${lines}\n`))
    return knownNat(loadAgentConfig(file, environment).config.nat)
  } catch (thrown) {
    if (thrown instanceof Problem) return thrown.line
    throw thrown
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('without settings the profile is empty', () => {
  assert.deepEqual(read(''), {})
})

test('each setting works without the others', () => {
  assert.deepEqual(read('mapping = "APDM"'), { mapping: 'APDM' })
  assert.deepEqual(read('filtering = "EIF"'), { filtering: 'EIF' })
  assert.deepEqual(read('lifetime = "30s"'), { lifetimeMs: 30_000 })
  assert.deepEqual(read('allocation = "preserving"'), { allocation: { type: 'preserving' } })
  assert.deepEqual(read('allocation = "sequential"'), { allocation: { type: 'sequential', step: 1 } })
})

test('a sequential NAT may have a step and a block, and a random NAT a block', () => {
  assert.deepEqual(read('allocation = "sequential"\nstep = -2\nblock = [1024, 2047]'), {
    allocation: { type: 'sequential', step: -2, block: { first: 1024, last: 2047 } },
  })
  assert.deepEqual(read('allocation = "random"\nblock = [1024, 1279]'), {
    allocation: { type: 'random', block: { first: 1024, last: 1279 } },
  })
})

test('settings that make no sense are refused with one line', () => {
  assert.match(String(read('mapping = "cone"')), /"nat\.mapping" is not valid/)
  assert.match(String(read('allocation = "sequential"\nstep = 0')), /"nat\.step" is not valid: must not be 0/)
  assert.match(String(read('allocation = "random"\nblock = [2047, 1024]')), /"nat\.block" is not valid/)
  assert.match(String(read('allocation = "random"\nblock = [1, 2, 3]')), /"nat\.block" is not valid/)
  assert.match(String(read('step = 2')), /a step needs allocation = "sequential"/)
  assert.match(String(read('allocation = "preserving"\nblock = [1, 2]')), /a block needs allocation/)
  assert.match(String(read('lifetime = "long"')), /"nat\.lifetime" is not valid/)
})

test('the environment overrides the file', () => {
  const environment = { PEERPOST_NAT_MAPPING: 'ADM', PEERPOST_NAT_BLOCK: '[4000, 4127]' }
  assert.deepEqual(read('mapping = "EIM"\nallocation = "random"', environment), {
    mapping: 'ADM',
    allocation: { type: 'random', block: { first: 4000, last: 4127 } },
  })
})
