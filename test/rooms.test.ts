// The one-way imports of the rooms (docs/decisions.md), with the reason for each ban.

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { test } from 'node:test'

type Rule = { readonly may: readonly string[]; readonly why: string }

const pure = ['letter', 'nat', 'punch', 'link', 'exchange']

/** What each room may import besides itself and `base`, which is the ground all stand on. */
const rules: Readonly<Record<string, Rule>> = {
  base: { may: [], why: 'it is the ground: words, bytes, endpoints, the one error' },
  letter: { may: [], why: 'letters are a format; who sends them must not change their bytes' },
  nat: { may: [], why: 'what a NAT does is known without knowing what it is used for' },
  punch: { may: ['nat'], why: 'a plan needs NAT profiles and nothing of mail' },
  link: { may: [], why: 'a link is given keys and a path; how they were found is not its matter' },
  exchange: { may: ['letter'], why: 'two hosts compare tables without knowing where these are kept' },
  table: { may: ['letter', 'exchange'], why: 'the memory must be testable without mail and network' },
  mail: { may: ['letter'], why: 'mailboxes carry letters and know no host or agent' },
  net: { may: pure, why: 'it drives the pure machines and decides nothing' },
  host: {
    may: ['letter', 'table', 'mail', 'exchange'],
    why: 'the host only logs in to a mailbox; it has no open port',
  },
  agent: {
    may: ['letter', 'nat', 'punch', 'link', 'table', 'mail', 'net', 'forward', 'config', 'address-server'],
    why: 'an agent must run where no host is',
  },
  forward: { may: ['link', 'net'], why: 'games ports lead to links, however those came about' },
  'address-server': { may: ['nat', 'net'], why: 'it tells addresses and keeps nothing' },
  control: {
    may: ['letter', 'nat', 'punch', 'link', 'mail', 'net', 'forward', 'config', 'agent', 'host'],
    why: 'it shows what services tell and asks for what they offer; no service knows of it',
  },
  setup: {
    may: ['letter', 'table', 'mail', 'net', 'forward', 'config', 'agent', 'host', 'control'],
    why: 'it puts services together from settings, for command line and library',
  },
  library: {
    may: ['letter', 'net', 'forward', 'config', 'agent', 'host', 'control', 'setup', 'sodium.ts'],
    why: 'it is a face of the services for programs, as cli is one for people; none of them knows of it',
  },
  config: { may: ['letter'], why: 'settings are read once, at the edge, by the rules letters obey' },
}

const files = globSync('src/**/*.ts').map((file) => ({
  file,
  room: relative('src', file).split('/').length > 1 ? (relative('src', file).split('/')[0] as string) : null,
  imports: [...readFileSync(file, 'utf8').matchAll(/^(?:import|export)\s(?:[^'"]*?from\s)?'([^']+)'/gm)].map(
    (match) => ({ from: match[1] as string, typeOnly: /^(?:import|export) type /.test(match[0]) }),
  ),
}))

test('there are files to look at in every room that has a rule', () => {
  for (const room of Object.keys(rules))
    assert.ok(
      files.some((file) => file.room === room),
      room,
    )
})

for (const [room, { may, why }] of Object.entries(rules)) {
  test(`${room} imports only ${['base', ...may].join(', ')}: ${why}`, () => {
    for (const { file, imports } of files.filter((file) => file.room === room)) {
      for (const { from } of imports.filter(({ from }) => from.startsWith('.'))) {
        const target = relative('src', normalize(join(dirname(file), from))).split('/')
        // Files that stand in no room are named as they are.
        const targetRoom = target[0] as string
        assert.ok(
          targetRoom === room || targetRoom === 'base' || may.includes(targetRoom),
          `${file} must not import ${from}: ${why}`,
        )
      }
    }
  })
}

test('nothing in the sources imports what programs outside import', () => {
  for (const { file, imports } of files) {
    for (const { from } of imports) assert.doesNotMatch(from, /(^peerpost$|^(\.\.\/|\.\/)+index\.ts$)/, file)
  }
})

test('pure rooms use no clock, no chance, no timer, no node: module and never wait', () => {
  const banned: readonly (readonly [RegExp, string])[] = [
    [/\bDate\.now\b|\bnew Date\b|\bperformance\./, 'time is handed in'],
    [/\bMath\.random\b|\bgetRandomValues\b/, 'chance is handed in'],
    [/\bset(Timeout|Interval|Immediate)\b/, 'the driver sets timers'],
    [/\bawait\b|\basync\b/, 'pure rooms are synchronous'],
    [/\bBuffer\b/, 'bytes are Uint8Array'],
    [/\bprocess\./, 'nothing of the process'],
  ]
  for (const { file, room, imports } of files) {
    if (!room || !['base', ...pure].includes(room)) continue
    for (const { from, typeOnly } of imports) {
      assert.ok(typeOnly || !from.startsWith('node:'), `${file} imports ${from}`)
    }
    const code = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    for (const [pattern, reason] of banned) assert.doesNotMatch(code, pattern, `${file}: ${reason}`)
  }
})
