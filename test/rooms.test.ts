// The one-way imports of the rooms, with the reason for each ban.

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { test } from 'node:test'

type Rule = { readonly may: readonly string[]; readonly why: string }

const pure = ['letter', 'nat', 'punch', 'link', 'sync']

/** What each room imports besides itself and `base`, which all rooms may use. */
const rules: Readonly<Record<string, Rule>> = {
  base: { may: [], why: 'every other room stands on it' },
  runtime: { may: [], why: 'it provides the clock and the crypto that other rooms only know as interfaces' },
  letter: { may: [], why: 'letters are a format; who sends them must not change their bytes' },
  nat: { may: [], why: 'NAT behaviour is measured without knowing what it is used for' },
  punch: { may: ['nat'], why: 'a plan needs NAT profiles and nothing of mail' },
  link: { may: [], why: 'a link is given keys and a path; it does not know how they were found' },
  sync: { may: ['letter'], why: 'two hosts compare tables without knowing where these are stored' },
  store: { may: ['letter', 'sync'], why: 'the database must be testable without mail and network' },
  mail: { may: ['letter'], why: 'mailboxes carry letters and know no host or agent' },
  net: { may: ['nat', 'link'], why: 'it drives the pure machines and decides nothing' },
  host: {
    may: ['letter', 'store', 'mail', 'sync'],
    why: 'the host only logs in to a mailbox; it has no open port',
  },
  agent: {
    may: ['letter', 'nat', 'punch', 'link', 'mail', 'net', 'forward'],
    why: 'an agent must run where no host is',
  },
  forward: { may: [], why: 'local ports lead to links, however those came about' },
  'stun-server': { may: ['nat', 'net', 'runtime'], why: 'it answers STUN requests and stores nothing' },
  wording: {
    may: ['nat', 'punch', 'mail', 'net', 'agent', 'host'],
    why: 'it turns events into sentences and changes nothing',
  },
  daemon: {
    may: ['letter', 'nat', 'forward', 'config', 'agent', 'host', 'wording'],
    why: 'it answers questions about a running agent or host, without HTTP',
  },
  api: {
    may: ['config', 'daemon', 'wording'],
    why: 'it serves over HTTP what daemon/ offers',
  },
  setup: {
    may: ['letter', 'store', 'mail', 'forward', 'config', 'agent', 'host', 'daemon', 'runtime'],
    why: 'it builds agents and hosts from settings, for command line and library',
  },
  library: {
    may: ['forward', 'config', 'agent', 'host', 'daemon', 'setup', 'runtime'],
    why: 'it offers agents and hosts to programs, as cli offers them to people; neither knows the other',
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

/** Not yet without circles. */
const circular: readonly string[] = ['forward']

/** The files of one circle of imports inside a room, the first one also last; null where there is none. */
function circleIn(room: string): readonly string[] | null {
  const ofRoom = new Map(files.filter((file) => file.room === room).map((file) => [file.file, file]))
  const done = new Set<string>()
  const visit = (file: string, way: readonly string[]): readonly string[] | null => {
    const at = way.indexOf(file)
    if (at >= 0) return [...way.slice(at), file]
    if (done.has(file)) return null
    for (const { from } of ofRoom.get(file)?.imports ?? []) {
      const target = normalize(join(dirname(file), from))
      const circle = ofRoom.has(target) ? visit(target, [...way, file]) : null
      if (circle) return circle
    }
    done.add(file)
    return null
  }
  for (const file of ofRoom.keys()) {
    const circle = visit(file, [])
    if (circle) return circle
  }
  return null
}

for (const room of new Set(files.flatMap(({ room }) => room ?? []))) {
  if (circular.includes(room)) continue
  test(`no files of ${room} import each other in a circle`, () => {
    const circle = circleIn(room)
    assert.equal(circle, null, `${room} has a circle of imports: ${circle?.join(' → ')}`)
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
