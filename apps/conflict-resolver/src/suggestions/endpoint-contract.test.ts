import { MatchersV3 } from '@pact-foundation/pact';
import { startContract } from '@sync/messaging/testing/pact';
import { readAnswer } from './answer-format.ts';
import type { ContestedField } from './contested-field.ts';
import { OpenAIClient } from './openai-client.ts';
import { askAbout } from './prompt.ts';

const { integer, like, regex } = MatchersV3;
const FIELDS: readonly ContestedField[] = [{ field: 'percent', ours: 60, theirs: 40 }];
const PARAMETERS = { temperature: 0, max_tokens: 256 };

describe('the conflict-resolver expects of an OpenAI-compatible endpoint', () => {
  const contract = startContract('conflict-resolver', 'openai-compatible-endpoint');
  const clientOf = (url: string): OpenAIClient =>
    new OpenAIClient({
      baseUrl: `${url}/v1`,
      apiKey: 'a-key',
      model: 'a-model',
      timeoutMs: 5_000,
      attempts: 1,
      maxPauseMs: 0,
      maxAnswerBytes: 100_000,
    });
  const question = askAbout('progress', FIELDS, PARAMETERS);
  const body = {
    ...PARAMETERS,
    model: 'a-model',
    messages: [
      { role: 'system', content: like('instructions') },
      { role: 'user', content: like(question.material) },
    ],
    response_format: {
      type: 'json_schema',
      json_schema: { name: 'merge_suggestion', strict: true, schema: like(question.answerSchema) },
    },
  };
  const headers = { authorization: regex('^Bearer .+', 'Bearer a-key'), 'content-type': 'application/json' };

  it('that a question is answered with JSON text of the schema, and its price', async () => {
    const text = '{"fields":{"f1":40},"confidence":0.7,"rationale":"The device is newer."}';
    const answer = await contract
      .addInteraction()
      .uponReceiving('a question with a JSON schema for its answer')
      .withRequest('POST', '/v1/chat/completions', (request) => {
        request.headers(headers).jsonBody(body);
      })
      .willRespondWith(200, (response) => {
        response.jsonBody({
          model: like('a-model-2026'),
          choices: [
            { finish_reason: 'stop', message: { role: 'assistant', content: regex('^\\{.*\\}$', text) } },
          ],
          usage: { prompt_tokens: integer(300), completion_tokens: integer(40) },
        });
      })
      .executeTest((mock) => clientOf(mock.url).complete(question, new AbortController().signal));
    expect(answer).toMatchObject({ model: 'a-model-2026', usage: { promptTokens: 300, outputTokens: 40 } });
    expect(readAnswer(answer?.text ?? '', FIELDS).changes).toEqual({ set: { percent: 40 }, remove: [] });
  });

  it('that it says when it is asked too often', async () => {
    const asked = contract
      .addInteraction()
      .given('the limit of requests is reached')
      .uponReceiving('a question too many')
      .withRequest('POST', '/v1/chat/completions', (request) => {
        request.headers(headers).jsonBody(body);
      })
      .willRespondWith(429, (response) => {
        response.headers({ 'retry-after': regex('^\\d+$', '7') });
      })
      .executeTest((mock) => clientOf(mock.url).complete(question, new AbortController().signal));
    await expect(asked).rejects.toMatchObject({ code: 'overloaded' });
  });
});
