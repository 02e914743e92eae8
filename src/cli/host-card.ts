// `peerpost host card` and `peerpost host peer`: how two hosts come to know each other.

import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { equalBytes } from '../base/bytes.ts'
import { messageOf, Problem } from '../base/problem.ts'
import { loadHostConfig } from '../config/load-config.ts'
import { writeHostCard } from '../letter/host-card.ts'
import { userIdText } from '../letter/user-id.ts'
import { loadSodium } from '../runtime/sodium.ts'
import { readHostKeys, roomNamed } from '../setup/host-keys.ts'
import { hostCardFrom, knownHosts } from '../setup/known-hosts.ts'
import { table } from './output.ts'

type Options = { readonly config: string; readonly json?: boolean }

/** With a room in it the card is a secret; without, it is a name and two public keys. */
export async function printCard({
  config,
  room: wanted,
}: Options & { readonly room?: string }): Promise<void> {
  const { crypto, loaded, keys } = await readHost(config)
  const { address, stun, mail } = loaded.config
  const { identity, sealingKeys } = keys
  const room = wanted === undefined ? null : roomNamed(keys, wanted)
  const card = writeHostCard(crypto, {
    host: { address, identity: identity.publicKey, sealingKey: sealingKeys.publicKey },
    room: room && { name: room.name, secret: room.secret, stunServers: stun.servers, subject: mail.subject },
    ...(room && keys.represented && { front: keys.represented }),
  })
  process.stdout.write(`${card}\n`)
}

/** Says which host was added; one that is known already stays as it is. */
export async function addPeer(text: string, { config }: Options): Promise<void> {
  const { crypto, loaded, keys } = await readHost(config)
  const { host } = hostCardFrom(crypto, text, 'This')
  const known = knownHosts(crypto, loaded.config, keys.identity.publicKey)
  if (equalBytes(host.identity, keys.identity.publicKey)) {
    throw new Problem('usage', 'This is the card of this very host.', 'Give it the card of the other one.')
  }
  if (known.some(({ identity }) => equalBytes(identity, host.identity))) {
    process.stdout.write(`The host ${host.address} is known already.\n`)
    return
  }
  append(config, `\n# ${host.address}\n[[hosts]]\ncard = "${writeHostCard(crypto, { host, room: null })}"\n`)
  const { role } = loaded.config
  process.stdout.write(`The host ${host.address} is known from the next start on.\n`)
  if (role === 'representative') {
    process.stdout.write('It then gets its share of the letters.\n')
    return
  }
  process.stdout.write(`Give it the card of this one, too:
  peerpost host card --config ${config}
`)
  if (keys.represented) return
  process.stdout.write(
    'New invites name both; those given out before name only the hosts that were known then.\n',
  )
}

export async function listPeers({ config, json }: Options): Promise<void> {
  const { crypto, loaded, keys } = await readHost(config)
  const hosts = knownHosts(crypto, loaded.config, keys.identity.publicKey)
  const rows = hosts.map(({ address, identity }) => ({ address, id: userIdText(identity) }))
  if (json) {
    for (const row of rows) process.stdout.write(`${JSON.stringify({ event: 'host', ...row })}\n`)
  } else if (rows.length === 0) process.stdout.write('No other host is known.\n')
  else {
    const lines = rows.map(({ address, id }) => ({ tone: 'plain' as const, cells: [address, id] }))
    process.stdout.write(`${table(['address', 'ID'], lines)}\n`)
  }
}

async function readHost(config: string) {
  const crypto = await loadSodium()
  const loaded = loadHostConfig(config, process.env)
  return { crypto, loaded, keys: readHostKeys(crypto, loaded) }
}

/** All or nothing: the config also holds what a person wrote. */
function append(file: string, text: string): void {
  try {
    const before = readFileSync(file, 'utf8')
    writeFileSync(`${file}.new`, `${before.endsWith('\n') ? before : `${before}\n`}${text}`, { mode: 0o600 })
    renameSync(`${file}.new`, file)
  } catch (thrown) {
    throw new Problem('file', `${file} cannot be written: ${messageOf(thrown)}.`, 'Check its rights.')
  }
}
