// `peerpost invite`: the invite alone on standard output, so that it can be piped.

import { loadHostConfig } from '../config/load.ts'
import { readHostKeys } from '../setup/host-keys.ts'
import { inviteTo } from '../setup/host-setup.ts'
import { loadSodium } from '../sodium.ts'

export async function printInvite(options: {
  readonly config: string
  readonly room?: string
}): Promise<void> {
  const crypto = await loadSodium()
  const loaded = loadHostConfig(options.config, process.env)
  const keys = readHostKeys(crypto, loaded)
  process.stdout.write(`${inviteTo({ crypto, loaded, keys }, options.room)}\n`)
}
