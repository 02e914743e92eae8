// A route of the control API. It contains everything to serve it, to describe it in OpenAPI, and to check its answers.

import { z } from 'zod'
import type { Need } from './request-guard.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

export type RouteInput = {
  /** The decoded path parameters, by name. */
  readonly params: Readonly<Record<string, string>>
  /** The body, checked by the schema `body` of the route. */
  readonly body: unknown
}

export type Route = {
  readonly method: Method
  /** `:name` is a path parameter. */
  readonly path: string
  /** What generated clients call it; no two routes of a daemon share one. */
  readonly operationId: string
  /** A sentence for the documentation. */
  readonly summary: string
  readonly need: Need
  /** A description of each path parameter. */
  readonly params?: Readonly<Record<string, string>>
  readonly body?: z.ZodObject
  /** The schema of the answer. A string is sent as plain text, anything else as JSON. */
  readonly answer: z.ZodType
  /** The error codes of this route with their status, without those that every route has. */
  readonly faults?: Readonly<Record<string, 400 | 401 | 404 | 409 | 503>>
  /** Returns the answer or an ApiError. A Problem, returned or thrown, is converted to an ApiError. */
  readonly handle: (input: RouteInput) => unknown
}

export const faultSchema = z.strictObject({
  error: z.strictObject({ code: z.string(), message: z.string(), remedy: z.string() }),
})

export const nothing = z.strictObject({})
