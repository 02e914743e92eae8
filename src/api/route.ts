// What a route of the control API is: enough to serve it, to describe it, and to check what it answers.

import { z } from 'zod'
import type { Need } from './request-guard.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

export type RouteInput = {
  /** Decoded, by name. */
  readonly params: Readonly<Record<string, string>>
  /** As `body` has checked it. */
  readonly body: unknown
}

export type Route = {
  readonly method: Method
  /** `:name` stands for one part of the path. */
  readonly path: string
  /** What generated clients call it; no two routes of a daemon share one. */
  readonly operationId: string
  /** A sentence for the documentation. */
  readonly summary: string
  readonly need: Need
  /** What each part `:name` of the path is. */
  readonly params?: Readonly<Record<string, string>>
  readonly body?: z.ZodObject
  /** A text is answered as it is, anything else as JSON. */
  readonly answer: z.ZodType
  /** Codes of faults besides those that every route has, with their status. */
  readonly faults?: Readonly<Record<string, 400 | 401 | 404 | 409 | 503>>
  /** The answer, or a `Fault`. A Problem becomes one, returned or thrown. */
  readonly handle: (input: RouteInput) => unknown
}

export const faultSchema = z.strictObject({
  error: z.strictObject({ code: z.string(), message: z.string(), remedy: z.string() }),
})

export const nothing = z.strictObject({})
