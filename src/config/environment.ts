// PEERPOST_… variables over the settings of a TOML file: PEERPOST_TABLE_CAPACITY=500 is `capacity` of [table].

import { parse as parseToml } from 'smol-toml'
import { z } from 'zod'
import { Problem } from '../base/problem.ts'

type Table = Record<string, unknown>
type Setting = { readonly path: readonly string[]; readonly text: boolean; readonly list: boolean }

/** A copy of `table` with the variables put in; a variable that names no setting is a Problem. */
export function withEnvironment(
  table: Table,
  schema: z.ZodObject,
  environment: Readonly<Record<string, string | undefined>>,
): Table {
  const settings = settingsOf(schema)
  const result = structuredClone(table)
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith('PEERPOST_') || value === undefined) continue
    const setting = settings.get(variable)
    if (!setting) {
      throw new Problem(
        'config',
        `The environment variable ${variable} names no setting.`,
        `Unset it, or use one of ${[...settings.keys()].slice(0, 4).join(', ')}, …`,
      )
    }
    put(result, setting.path, setting.text ? value : readValue(variable, value, setting.list))
  }
  return result
}

/** The variable of every setting. */
export function settingsOf(schema: z.ZodObject): Map<string, Setting> {
  const settings = new Map<string, Setting>()
  const walk = (object: z.ZodObject, path: readonly string[]): void => {
    for (const [key, field] of Object.entries(object.shape)) {
      const inner = bareField(field as z.ZodType)
      const here = [...path, key]
      if (inner instanceof z.ZodObject) walk(inner, here)
      else {
        const variable = `PEERPOST_${here.join('_').toUpperCase()}`
        settings.set(variable, {
          path: here,
          text: inner instanceof z.ZodString || inner instanceof z.ZodEnum,
          list: inner instanceof z.ZodArray && bareField(inner.element as z.ZodType) instanceof z.ZodString,
        })
      }
    }
  }
  walk(schema, [])
  return settings
}

/** The schema under its defaults and transforms. */
export function bareField(field: z.ZodType | undefined): z.ZodType | undefined {
  if (field instanceof z.ZodDefault || field instanceof z.ZodPrefault || field instanceof z.ZodOptional) {
    return bareField(field.unwrap() as z.ZodType)
  }
  if (field instanceof z.ZodPipe) return bareField(field.in as z.ZodType)
  return field
}

/** A list of texts may be written with commas; anything else as TOML writes it. */
function readValue(variable: string, value: string, list: boolean): unknown {
  if (list && !value.trim().startsWith('[')) {
    return value
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '')
  }
  try {
    return parseToml(`value = ${value}`).value
  } catch {
    throw new Problem(
      'config',
      `The environment variable ${variable} holds no value that TOML knows.`,
      'Write a number, true or false, or a list such as ["a", "b"].',
    )
  }
}

function put(table: Table, path: readonly string[], value: unknown): void {
  let place = table
  for (const key of path.slice(0, -1)) {
    const next = place[key]
    if (typeof next === 'object' && next !== null) place = next as Table
    else {
      const fresh: Table = {}
      place[key] = fresh
      place = fresh
    }
  }
  place[path.at(-1) as string] = value
}
