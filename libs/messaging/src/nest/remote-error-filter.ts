import { Catch, type RpcExceptionFilter } from '@nestjs/common';
import { throwError, type Observable } from 'rxjs';
import { RemoteError } from '../request-reply.ts';

/**
 * Lets a {@link RemoteError} reach the caller with its code; Nest's own filter would make it "Internal server
 * error".
 */
export class RemoteErrorFilter implements RpcExceptionFilter<RemoteError> {
  catch(error: RemoteError): Observable<never> {
    return throwError(() => error);
  }
}

// Called and not written as a decorator, so that this entry also runs where only types are stripped.
Catch(RemoteError)(RemoteErrorFilter);
