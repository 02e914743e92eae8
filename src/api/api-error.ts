// The error answers of the control API: a code for programs, and a sentence and a remedy for people.

import { Problem, type ProblemCode } from '../base/problem.ts'

export type ApiErrorStatus = 400 | 401 | 403 | 404 | 408 | 409 | 413 | 429 | 431 | 500 | 503

export class ApiError {
  readonly status: ApiErrorStatus
  readonly code: string
  readonly message: string
  readonly remedy: string

  constructor(status: ApiErrorStatus, code: string, message: string, remedy: string) {
    this.status = status
    this.code = code
    this.message = message
    this.remedy = remedy
  }

  get body(): {
    readonly error: { readonly code: string; readonly message: string; readonly remedy: string }
  } {
    const { code, message, remedy } = this
    return { error: { code, message, remedy } }
  }
}

/** The status of problems that the caller can solve. All others are 503: the daemon cannot do it now. */
const statuses: Readonly<Partial<Record<ProblemCode, ApiErrorStatus>>> = {
  usage: 400,
  'unknown-peer': 404,
  'unknown-forward': 404,
  'no-invite': 404,
  ambiguous: 409,
  blocked: 409,
  declined: 409,
  leaving: 409,
  'not-joined': 409,
  'port-taken': 409,
}

/** Converts a Problem that a handler has returned, or anything that it has thrown. */
export function faultOf(thrown: unknown): ApiError {
  if (thrown instanceof Problem) {
    return new ApiError(statuses[thrown.code] ?? 503, thrown.code, thrown.message, thrown.remedy)
  }
  return new ApiError(500, 'internal', 'The daemon could not do this.', 'This is a defect; please report it.')
}

export const faults = {
  wrongHost: new ApiError(
    403,
    'wrong-host',
    'The Host header does not name this server.',
    'Use the address in the control file, or localhost with its port.',
  ),
  wrongOrigin: new ApiError(
    403,
    'wrong-origin',
    'Pages of other origins may not use this API.',
    'Use the page of the daemon itself, or a program.',
  ),
  noToken: new ApiError(
    401,
    'no-token',
    'No valid token came with the request.',
    'Send "Authorization: Bearer TOKEN" with the token of the control file. It changes with each start.',
  ),
  badCode: new ApiError(
    401,
    'bad-code',
    'This link was used before, or is too old.',
    'Get a new one with `peerpost status --open`.',
  ),
  tooMany: new ApiError(429, 'too-many', 'Too many requests.', 'Wait a second.'),
  tooManyStreams: new ApiError(
    429,
    'too-many-streams',
    'There are too many event streams.',
    'Close pages or programs that read events.',
  ),
  notFound: new ApiError(
    404,
    'not-found',
    'This path does not exist.',
    'See docs/control-api.md for all paths.',
  ),
  tooBig: new ApiError(413, 'too-big', 'The body is too big.', 'Send at most 4096 bytes.'),
  badBody: new ApiError(
    400,
    'bad-body',
    'The body is not valid for this request.',
    'Send JSON as docs/control-api.md says.',
  ),
  tooLongHeaders: new ApiError(
    431,
    'too-long-headers',
    'The headers are too long.',
    'Send at most 8192 bytes.',
  ),
  tooSlow: new ApiError(408, 'too-slow', 'The request did not come in time.', 'Send it within ten seconds.'),
  malformed: new ApiError(400, 'malformed', 'The request is not valid HTTP.', 'Use an HTTP library.'),
} as const
