/** The one place where native failures and NTSTATUS values become errors. */
import { constants } from 'node:os';
import { type NtsError, ntsError } from '../../../userland/common/errors.js';
import {
  STATUS_ACCESS_DENIED,
  STATUS_CANCELLED,
  STATUS_NO_SUCH_DEVICE,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_OBJECT_PATH_NOT_FOUND,
  STATUS_SUCCESS,
  describeStatus,
} from '../../../userland/common/ntstatus.js';
import type { NativeDone, NativeFailure, NativeReply } from './native.js';

/** Severity "warning": the request failed, and yet brought data. */
function isWarning(status: number): boolean {
  return status >>> 30 === 2;
}

export function isFailure(status: number): boolean {
  return status >>> 30 >= 2;
}

export function failureError(failure: NativeFailure, what: string, endpoint: string): NtsError {
  const { errno } = constants;
  switch (failure.kind) {
    case 'connect':
      return failure.systemError === errno.EACCES
        ? ntsError('NTS_ERR_HOST_DENIED', { endpoint })
        : ntsError('NTS_ERR_HOST_UNREACHABLE', { endpoint, why: failure.detail });
    case 'gone':
      return ntsError('NTS_ERR_HOST_GONE', { what }, { facts: { detail: failure.detail } });
    case 'protocol':
      return ntsError('NTS_ERR_PROTOCOL', { what: failure.detail });
  }
}

export interface StatusContext {
  /** What was being done, for the message. */
  readonly what: string;
  /** The reason of the caller's AbortSignal, if it was aborted. */
  readonly reason?: unknown;
  readonly data?: Buffer | null;
}

export function statusError(status: number, context: StatusContext): NtsError {
  const { what, reason, data = null } = context;
  const details = { ntstatus: status, data, cause: reason };
  switch (status) {
    case STATUS_CANCELLED:
      return ntsError('NTS_ERR_CANCELLED', { what }, details);
    case STATUS_ACCESS_DENIED:
      return ntsError('NTS_ERR_ACCESS_DENIED', { what }, details);
    default:
      return ntsError('NTS_ERR_IO', { what, why: describeStatus(status).meaning }, details);
  }
}

/** As statusError, for an attempt to open: then a name that is not found is a device that is missing. */
export function openError(status: number, path: string): NtsError {
  switch (status) {
    case STATUS_OBJECT_NAME_NOT_FOUND:
    case STATUS_OBJECT_PATH_NOT_FOUND:
    case STATUS_NO_SUCH_DEVICE:
      return ntsError('NTS_ERR_NO_DEVICE', { what: path }, { ntstatus: status });
    default:
      return statusError(status, { what: path });
  }
}

/**
 * Runs one native request. `start` is given the callback; the promise becomes the reply whatever its
 * status, or an error where the transport broke.
 */
export function request(
  start: (done: NativeDone) => void,
  what: string,
  endpoint: string,
): Promise<NativeReply> {
  return new Promise((resolve, reject) => {
    start((failure, reply) => {
      if (reply) resolve(reply);
      else reject(failureError(failure!, what, endpoint));
    });
  });
}

/** As request(), for a call that gives more than a reply: its callback, and what that will be told. */
export function expectReply(
  what: string,
  endpoint: string,
): { reply: Promise<NativeReply>; done: NativeDone } {
  let settle: NativeDone = () => undefined;
  const reply = request((done) => (settle = done), what, endpoint);
  return { reply, done: (failure, reply) => settle(failure, reply) };
}

/** The data of a reply; a failure becomes an error, with the data of a warning. */
export function dataOf(reply: NativeReply, context: StatusContext): Buffer {
  if (!isFailure(reply.status)) return reply.payload;
  throw statusError(reply.status, {
    ...context,
    data: isWarning(reply.status) ? reply.payload : null,
  });
}

export { STATUS_SUCCESS };
