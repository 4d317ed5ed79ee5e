import { mutationOf, newAuthor, startPushRig, type PushRig } from '../testing/push-rig.ts';

let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig();
});
afterAll(() => rig.stop());
afterEach(() => {
  rig.owner.trims = 'no';
  rig.owner.takenAppends = 'rejected';
  rig.owner.projectsAtOnce = true;
});

describe('what its owner stores otherwise than it was sent', () => {
  it('is merged, with what stands, before anything is projected', async () => {
    const author = newAuthor();
    rig.owner.trims = 'shown';
    rig.owner.projectsAtOnce = false;
    const data = { userId: author.userId, text: ' hello ' };
    const [outcome] = await rig.push(author, [mutationOf(author, { data })]);
    expect(outcome).toMatchObject({
      status: 'merged',
      clock: { [`d:${author.deviceId}`]: 1 },
      current: { op: 'put', data: { userId: author.userId, text: 'hello' } },
    });
    expect(outcome).not.toHaveProperty('conflictId');
    await rig.owner.projectAll();
  });

  it('is shown by what follows it in the same push, too', async () => {
    const author = newAuthor();
    rig.owner.trims = 'shown';
    rig.owner.projectsAtOnce = false;
    const entityId = `trimmed-${author.deviceId}`;
    const own = (counter: number): Record<string, number> => ({ [`d:${author.deviceId}`]: counter });
    const patch = (counter: number, data: object): object =>
      mutationOf(author, { entityId, op: 'patch', data: { ...data }, baseClock: own(counter) });
    const outcomes = await rig.push(author, [
      mutationOf(author, { entityId, data: { userId: author.userId, text: ' hello ' } }),
      patch(1, { percent: 20 }),
      patch(2, { text: 'forbidden' }),
    ]);
    expect(outcomes).toMatchObject([
      { status: 'merged', current: { data: { text: 'hello' } } },
      { status: 'applied' },
      { status: 'rejected', current: { clock: own(2), data: { text: 'hello', percent: 20 } } },
    ]);
    await rig.owner.projectAll();
  });

  it('is shown by the projection where its owner says no more than that', async () => {
    const author = newAuthor();
    rig.owner.trims = 'unshown';
    const data = { userId: author.userId, text: ' hello ' };
    const [outcome] = await rig.push(author, [mutationOf(author, { data })]);
    expect(outcome).toMatchObject({ status: 'merged', current: { data: { text: 'hello' } } });
  });

  it('waits for the projection then, and is never shown as it was before', async () => {
    const author = newAuthor();
    rig.owner.trims = 'unshown';
    rig.owner.projectsAtOnce = false;
    const data = { userId: author.userId, text: ' hello ' };
    const mutation = mutationOf(author, { data });
    expect(await rig.push(author, [mutation])).toMatchObject([{ status: 'accepted' }]);
    for (let attempt = 1; attempt <= 4; attempt += 1) expect(await rig.dispatch(author)).toBe(0);
    await rig.owner.projectAll();
    expect(await rig.dispatch(author)).toBe(1);
    expect(await rig.waiting(author)).toMatchObject([
      { status: 'merged', clock: { [`d:${author.deviceId}`]: 1 }, current: { data: { text: 'hello' } } },
    ]);
    expect(rig.owner.applied.filter((id) => id === mutation.mutationId)).toHaveLength(1);
  });

  it('is not shown where it is not in sight of its user any more', async () => {
    const author = newAuthor();
    rig.owner.trims = 'shown';
    const data = { userId: 'somebody else', text: ' hello ' };
    const [outcome] = await rig.push(author, [mutationOf(author, { data })]);
    expect(outcome?.status).toBe('merged');
    expect(JSON.stringify(outcome?.current)).not.toContain('"hello"');
  });
});

describe('an append whose id is taken, of an owner that leaves it to the gateway', () => {
  const append = (author: ReturnType<typeof newAuthor>, entityId: string, verb: string): object =>
    mutationOf(author, {
      entityType: 'statement',
      entityId,
      op: 'append',
      data: { userId: author.userId, verb },
    });

  it('has been applied when it is the same record', async () => {
    const author = newAuthor();
    rig.owner.takenAppends = 'conflict';
    const outcomes = [
      ...(await rig.push(author, [append(author, `s-${author.userId}`, 'passed')])),
      ...(await rig.push(author, [append(author, `s-${author.userId}`, 'passed')])),
    ];
    expect(outcomes.map(({ status }) => status)).toEqual(['applied', 'applied']);
  });

  it('is refused and recorded when it is another one, though its device counted it alike', async () => {
    const author = newAuthor();
    rig.owner.takenAppends = 'conflict';
    await rig.push(author, [append(author, `s-${author.userId}`, 'passed')]);
    const [outcome] = await rig.push(author, [append(author, `s-${author.userId}`, 'failed')]);
    expect(outcome).toMatchObject({
      status: 'rejected',
      code: 'append_only_violation',
      current: { data: { verb: 'passed' } },
    });
    expect(outcome).toHaveProperty('conflictId');
  });

  it('is refused and recorded when the same words stand out of its user’s sight', async () => {
    const [author, other] = [newAuthor(), newAuthor()];
    const stranger = { ...other, tenantId: author.tenantId };
    rig.owner.takenAppends = 'conflict';
    const verbAlone = (of: typeof author): object =>
      mutationOf(of, {
        entityType: 'statement',
        entityId: 's-shared',
        op: 'append',
        data: { verb: 'passed' },
      });
    await rig.owner.change(author.tenantId, 'statement', 's-shared', {
      userId: stranger.userId,
      verb: 'passed',
    });
    const [outcome] = await rig.push(author, [verbAlone(author)]);
    expect(outcome).toMatchObject({ status: 'rejected', code: 'append_only_violation' });
    expect(outcome).toHaveProperty('conflictId');
    expect(JSON.stringify(outcome?.current)).not.toContain('passed');
  });
});
