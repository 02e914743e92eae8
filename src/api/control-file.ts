// The file beside the config that tells where the control API is and what lets one in. It is there while the daemon
// runs; what a killed one left behind is overwritten by the next.

import { readFileSync, unlinkSync } from 'node:fs'
import { z } from 'zod'
import { Problem } from '../base/problem.ts'
import { readSecret, replaceSecret } from '../config/secret-files.ts'

const schema = z.object({ url: z.url({ protocol: /^http$/ }), token: z.string().min(20).max(64) })

export type ControlFile = z.infer<typeof schema>

/** `agent.toml` has `agent.control.json` beside it. */
export function controlFileOf(configFile: string): string {
  return `${configFile.replace(/\.toml$/, '')}.control.json`
}

export function writeControlFile(file: string, content: ControlFile): void {
  replaceSecret(file, JSON.stringify(content))
}

/** Null when there is none, so no daemon of that config runs or it has no control API. */
export function readControlFile(file: string): ControlFile | null {
  try {
    readFileSync(file)
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return null
  }
  const checked = schema.safeParse(parse(readSecret(file, 'The token of the control API')))
  if (checked.success) return checked.data
  throw new Problem('file', `${file} is not as the daemon wrote it.`, 'Restart the daemon.')
}

/** Not when a later daemon has put its own there. */
export function removeControlFile(file: string, { token }: ControlFile): void {
  try {
    if (readControlFile(file)?.token === token) unlinkSync(file)
  } catch {
    // It is of no use to anybody once we are gone.
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
