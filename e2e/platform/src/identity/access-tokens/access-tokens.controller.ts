import { Body, Controller, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { TENANT_ID_PATTERN, USER_ID_PATTERN, validator } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import Type from 'typebox';
import { parameter } from '../../path-parameter.ts';
import type { SigningKey } from '../keys/signing-key.ts';
import { SIGNING_KEY } from '../tokens.ts';
import { type AccessToken, issueAccessToken } from './issue-access-token.ts';

const MAX_LIFETIME_SECONDS = 86_400;

const checkBody = validator(
  Type.Object({
    roles: Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { maxItems: 16 })),
    expiresInSeconds: Type.Optional(
      Type.Integer({ minimum: -MAX_LIFETIME_SECONDS, maximum: MAX_LIFETIME_SECONDS }),
    ),
  }),
);

@Controller('dev/tenants/:tenantId/users/:userId/tokens')
export class AccessTokensController {
  private readonly key: SigningKey;

  constructor(@Inject(SIGNING_KEY) key: SigningKey) {
    this.key = key;
  }

  @Post()
  @HttpCode(200)
  async issue(
    @Param('tenantId') tenantId: string,
    @Param('userId') userId: string,
    @Body() body: unknown,
  ): Promise<AccessToken> {
    const holder = {
      tenantId: parameter('tenantId', tenantId, TENANT_ID_PATTERN),
      userId: parameter('userId', userId, USER_ID_PATTERN),
    };
    const options = checkBody(body ?? {});
    if (!options.ok) {
      throw new ProblemError('schema_invalid', 'The body takes roles and expiresInSeconds', {
        errors: options.faults,
      });
    }
    return issueAccessToken(this.key, holder, options.value);
  }
}
