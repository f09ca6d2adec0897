// What both clients are asked, and how their answers are judged.
import assert from 'node:assert/strict';

export const question = [{ role: 'user', content: 'hello there' }];
export const slowQuestion = [{ role: 'user', content: 'Be slow: count from one to ten thousand in words.' }];

export const weatherTool = {
  type: 'function',
  function: {
    name: 'weather',
    description: 'Tells the weather of a city.',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false },
  },
};
export const toolQuestion = [{ role: 'user', content: 'What is the weather in Bern? Use the tool.' }];

export const schema = {
  type: 'object',
  properties: { name: { type: 'string' }, age: { type: 'integer' } },
  required: ['name', 'age'],
  additionalProperties: false,
};

export function checkPerson(text) {
  const person = JSON.parse(text);
  assert.equal(typeof person.name, 'string');
  assert.ok(Number.isInteger(person.age));
  return person;
}

export function checkVector(vector) {
  assert.ok(Array.isArray(vector) && vector.length > 0 && vector.every(Number.isFinite), 'not a vector');
  assert.ok(vector.some(x => x !== 0), 'a vector of zeros');
  return vector.length;
}

export async function checkRejects(promise, check) {
  try {
    await promise;
  } catch (error) {
    check(error);
    return error.message;
  }
  assert.fail('no error');
}
