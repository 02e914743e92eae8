// Environment variables override the settings of a TOML file: PEERPOST_TABLE_CAPACITY=500 sets `capacity` in [table].

import { parse as parseToml } from 'smol-toml'
import { z } from 'zod'
import { Problem } from '../base/problem.ts'

type Table = Record<string, unknown>
type Setting = { readonly path: readonly string[]; readonly text: boolean; readonly list: boolean }

/** Returns a copy of `table` with the variables applied. Throws a Problem for a variable that names no setting. */
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
    setValue(result, setting.path, setting.text ? value : readValue(variable, value, setting.list))
  }
  return result
}

/** All settings by the name of their variable. */
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

/** The schema without its defaults and transforms. */
export function bareField(field: z.ZodType | undefined): z.ZodType | undefined {
  if (field instanceof z.ZodDefault || field instanceof z.ZodPrefault || field instanceof z.ZodOptional) {
    return bareField(field.unwrap() as z.ZodType)
  }
  if (field instanceof z.ZodPipe) return bareField(field.in as z.ZodType)
  return field
}

/** A list of texts may be separated by commas. Any other value is written as in TOML. */
function readValue(variable: string, value: string, list: boolean): unknown {
  if (list && !value.trim().startsWith('[')) {
    return value
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '')
  }
  try {
    return parseToml(`value = ${value}`).value
  } catch {
    throw new Problem(
      'config',
      `The environment variable ${variable} holds no valid TOML value.`,
      'Write a number, true or false, or a list such as ["a", "b"].',
    )
  }
}

function setValue(table: Table, path: readonly string[], value: unknown): void {
  let current = table
  for (const key of path.slice(0, -1)) {
    const next = current[key]
    if (typeof next === 'object' && next !== null) current = next as Table
    else {
      const added: Table = {}
      current[key] = added
      current = added
    }
  }
  current[path.at(-1) as string] = value
}
