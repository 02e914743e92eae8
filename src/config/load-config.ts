// Reads a TOML file, applies the environment variables and checks the result. An error is one line that names the file, the
// key and the remedy.

import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parse as parseToml, TomlError } from 'smol-toml'
import { z } from 'zod'
import { messageOf, Problem } from '../base/problem.ts'
import {
  type AgentConfig,
  type AgentTable,
  agentSchema,
  type HostConfig,
  type HostTable,
  hostSchema,
} from './config-schema.ts'
import { nearest } from './did-you-mean.ts'
import { bareField, withEnvironment } from './environment.ts'

export type { AgentTable, HostTable } from './config-schema.ts'

/** A larger file is surely no config file. */
const maxBytes = 256 * 1024

export type Loaded<Config> = {
  readonly config: Config
  /** Makes a path of the config absolute. A relative path starts in the folder of the config file. */
  readonly path: (text: string) => string
}

type Environment = Readonly<Record<string, string | undefined>>

export type LoadedConfig =
  | ({ readonly role: 'host' } & Loaded<HostConfig>)
  | ({ readonly role: 'agent' } & Loaded<AgentConfig>)

/** Loads the config of an agent or a host. Only the config of an agent has a `name`. */
export function loadConfig(file: string, environment: Environment): LoadedConfig {
  const isAgent = 'name' in readTable(file, 'peerpost init') || environment.PEERPOST_NAME !== undefined
  return isAgent
    ? { role: 'agent', ...loadAgentConfig(file, environment) }
    : { role: 'host', ...loadHostConfig(file, environment) }
}

export function loadHostConfig(file: string, environment: Environment): Loaded<HostConfig> {
  return load(file, hostSchema, environment, 'peerpost init host')
}

export function loadAgentConfig(file: string, environment: Environment): Loaded<AgentConfig> {
  return load(file, agentSchema, environment, 'peerpost init agent')
}

/** Checks settings that come from a program. `where` begins the message of a Problem. */
export function checkAgentTable(table: AgentTable, where: string): AgentConfig {
  return check(table, agentSchema, where)
}

export function checkHostTable(table: HostTable, where: string): HostConfig {
  return check(table, hostSchema, where)
}

function check<Schema extends z.ZodObject>(table: unknown, schema: Schema, where: string): z.infer<Schema> {
  const checked = schema.safeParse(table)
  if (!checked.success) throw configProblem(where, schema, checked.error)
  return checked.data
}

function load<Schema extends z.ZodObject>(
  file: string,
  schema: Schema,
  environment: Environment,
  maker: string,
): Loaded<z.infer<Schema>> {
  const table = withEnvironment(readTable(file, maker), schema, environment)
  const config = check(table, schema, file)
  const folder = dirname(resolve(file))
  return { config, path: (text) => resolve(folder, text) }
}

function readTable(file: string, maker: string): Record<string, unknown> {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (thrown) {
    const code = (thrown as NodeJS.ErrnoException).code
    if (code === 'ENOENT') {
      throw new Problem('file', `There is no config file ${file}.`, `Make one with \`${maker} --dir DIR …\`.`)
    }
    throw new Problem(
      'file',
      `The config file ${file} cannot be read: ${messageOf(thrown)}.`,
      'Correct its permissions.',
    )
  }
  if (text.length > maxBytes) {
    throw new Problem('config', `${file} is larger than 256 KiB.`, 'Name a peerpost config file.')
  }
  try {
    return parseToml(text)
  } catch (thrown) {
    if (!(thrown instanceof TomlError)) throw thrown
    const first = messageOf(thrown.message.split('\n')[0])
    throw new Problem(
      'config',
      `${file}, line ${thrown.line}, column ${thrown.column}: ${first}.`,
      'Correct that line; texts are in double quotes.',
    )
  }
}

/** Reports only the first error: people read one line, and not ten. */
function configProblem(file: string, schema: z.ZodObject, error: z.ZodError): Problem {
  const issue = error.issues[0]
  if (!issue) return new Problem('config', `${file} is not valid.`, 'Compare it with config/ of the package.')
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0] ?? ''
    const known = keysAt(schema, issue.path)
    const meant = nearest(key, known)
    return new Problem(
      'config',
      `${file}: unknown key "${key}"${section(issue.path)}.`,
      meant ? `Did you mean "${meant}"?` : `Known there: ${known.join(', ')}.`,
    )
  }
  const missing = issue.code === 'invalid_type' && /received undefined/.test(issue.message)
  const name = issue.path.map(String).join('.')
  if (missing)
    return new Problem('config', `${file}: "${name}" is missing.`, `Add it, for example as config/ shows.`)
  return new Problem('config', `${file}: "${name}" is not valid: ${issue.message}.`, 'Correct that value.')
}

function section(path: readonly PropertyKey[]): string {
  return path.length === 0 ? '' : ` in [${path.filter((key) => typeof key === 'string').join('.')}]`
}

function keysAt(schema: z.ZodObject, path: readonly PropertyKey[]): string[] {
  let at: z.ZodType | undefined = schema
  for (const key of path) {
    if (at instanceof z.ZodObject) at = bareField(at.shape[String(key)])
    else if (at instanceof z.ZodArray) at = bareField(at.element as z.ZodType)
  }
  return at instanceof z.ZodObject ? Object.keys(at.shape) : []
}
