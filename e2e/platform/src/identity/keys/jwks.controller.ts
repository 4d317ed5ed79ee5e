import { Controller, Get, Header, Inject } from '@nestjs/common';
import type { JWK } from 'jose';
import { SIGNING_KEY } from '../tokens.ts';
import type { SigningKey } from './signing-key.ts';

@Controller('.well-known')
export class JwksController {
  private readonly key: SigningKey;

  constructor(@Inject(SIGNING_KEY) key: SigningKey) {
    this.key = key;
  }

  @Get('jwks.json')
  @Header('cache-control', 'public, max-age=300')
  jwks(): { keys: JWK[] } {
    return { keys: [this.key.publicJwk] };
  }
}
