// The file beside the config with the URL and the token of the control API. It exists while the daemon runs. If a daemon is
// killed, the next one overwrites the file.

import { readFileSync, unlinkSync } from 'node:fs'
import { z } from 'zod'
import { Problem } from '../base/problem.ts'
import { readSecret, replaceSecret } from '../config/secret-files.ts'

const schema = z.object({ url: z.url({ protocol: /^http$/ }), token: z.string().min(20).max(64) })

export type ControlFile = z.infer<typeof schema>

/** The path of the control file: `agent.control.json` for `agent.toml`. */
export function controlFileOf(configFile: string): string {
  return `${configFile.replace(/\.toml$/, '')}.control.json`
}

export function writeControlFile(file: string, content: ControlFile): void {
  replaceSecret(file, JSON.stringify(content))
}

/** Null when there is no file: no daemon runs with this config, or it has no control API. */
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

/** Does nothing when a later daemon has written its own file. */
export function removeControlFile(file: string, { token }: ControlFile): void {
  try {
    if (readControlFile(file)?.token === token) unlinkSync(file)
  } catch {
    // A file that is left behind does no harm: its token is invalid after the end of the daemon.
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
