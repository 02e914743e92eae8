// Parses a Dockerfile and runs its instructions in folders of this computer, which replaces the base image.

import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync } from 'node:fs'
import { basename, join, posix } from 'node:path'

export type Instruction = { readonly name: string; readonly rest: string }
export type Stage = { readonly image: string; readonly name: string; readonly steps: readonly Instruction[] }

export function readStages(file: string): readonly Stage[] {
  const text = readFileSync(file, 'utf8')
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n\s*/g, ' ')
  const stages: { image: string; name: string; steps: Instruction[] }[] = []
  for (const line of text.split('\n').filter((each) => each.trim() !== '')) {
    const [, name = '', rest = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? []
    const [image = '', , as = ''] = name === 'FROM' ? rest.split(' ') : []
    if (name === 'FROM') stages.push({ image, name: as, steps: [] })
    else if (name !== '') stages.at(-1)?.steps.push({ name, rest })
    else throw new Error(`not an instruction: ${line}`)
  }
  return stages
}

/** The value of the last instruction of this name. */
export function lastOf(stage: Stage, name: string): string {
  const found = stage.steps.findLast((step) => step.name === name)
  if (!found) throw new Error(`the Dockerfile has no ${name}`)
  return found.rest
}

/** The words of an instruction in exec form, which no shell parses. */
export function wordsOf(rest: string): readonly string[] {
  return JSON.parse(rest.slice(rest.indexOf('['))) as string[]
}

/**
 * Builds all stages, each in a folder of its name below `root`. Files of the build context come from `context`.
 * Absolute paths of an image lie below its folder here. Returns the folder of the last stage.
 */
export function buildStages(stages: readonly Stage[], root: string, context: string): string {
  const folderOf = (name: string) => join(root, name || 'image')
  for (const stage of stages) {
    const folder = folderOf(stage.name)
    let workdir = '/'
    for (const { name, rest } of stage.steps) {
      if (name === 'WORKDIR') {
        workdir = rest
        mkdirSync(join(folder, workdir), { recursive: true })
      } else if (name === 'COPY') {
        const words = rest.split(' ')
        const from = /^--from=(.*)$/.exec(words[0] ?? '')?.[1]
        const target = words.at(-1) ?? ''
        for (const source of words.slice(from === undefined ? 0 : 1, -1)) {
          const place = posix.resolve(workdir, target)
          const origin = from === undefined ? join(context, source) : join(folderOf(from), source)
          // Links inside node_modules are kept.
          const end = target.endsWith('/') ? join(folder, place, basename(source)) : join(folder, place)
          cpSync(origin, end, { recursive: true, verbatimSymlinks: true })
        }
      } else if (name === 'RUN') {
        run(below(folder, rest), join(folder, workdir))
      }
    }
  }
  return folderOf(stages.at(-1)?.name ?? '')
}

/** Puts every absolute path below the folder. */
export function below(folder: string, words: string): string {
  return words.replace(/(?<=^|\s)\/(?=[a-z])/g, `${folder}/`)
}

function run(command: string, cwd: string): void {
  // npm's environment variables are not for the inner npm.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')))
  env.npm_config_prefer_offline = 'true'
  const done = spawnSync('sh', ['-ec', command], { cwd, env, encoding: 'utf8' })
  if (done.status !== 0) throw new Error(`${command}: ${done.stdout}${done.stderr}`)
}
