import assert from 'node:assert/strict';
import { Ollama } from 'ollama';
import { checkPerson, checkRejects, checkVector, question, schema, slowQuestion, toolQuestion, weatherTool } from './checks.mjs';

export function ollamaTests({ baseUrl, apiKey, model, embedModel }) {
  const connect = key => new Ollama({ host: baseUrl, headers: key ? { Authorization: `Bearer ${key}` } : {} });
  const client = connect(apiKey);
  const bare = name => name.replace(/:latest$/, '');

  const tests = {
    async version() {
      return (await client.version()).version;
    },

    async list() {
      const { models } = await client.list();
      const found = models.find(m => bare(m.name) === bare(model));
      assert.ok(found, `'${model}' is not among ${models.map(m => m.name)}`);
      assert.ok(found.modified_at);
      return models.length;
    },

    async show() {
      const answer = await client.show({ model });
      assert.ok(answer.capabilities.includes('completion'));
      return answer.capabilities;
    },

    async ps() {
      assert.ok(Array.isArray((await client.ps()).models));
    },

    async chat() {
      const answer = await client.chat({ model, messages: question });
      assert.equal(answer.done, true);
      assert.equal(answer.done_reason, 'stop');
      assert.ok(answer.message.content.length > 0);
      assert.ok(answer.eval_count > 0 && answer.total_duration > 0);
      return answer.message.content;
    },

    async stream() {
      let [text, chunks, last] = ['', 0, null];
      for await (const part of await client.chat({ model, messages: question, stream: true })) {
        if (part.message.content) [text, chunks] = [text + part.message.content, chunks + 1];
        last = part;
      }
      assert.ok(chunks > 1, 'not streamed');
      assert.equal(last.done, true);
      assert.ok(last.eval_count > 0);
      return text;
    },

    async generate() {
      const answer = await client.generate({ model, prompt: 'hello there' });
      assert.equal(answer.done, true);
      assert.ok(answer.response.length > 0);
      return answer.response;
    },

    async generateStreamed() {
      let text = '';
      for await (const part of await client.generate({ model, prompt: 'hello there', stream: true })) text += part.response;
      assert.ok(text.length > 0);
      return text;
    },

    async tools() {
      const first = await client.chat({ model, messages: toolQuestion, tools: [weatherTool] });
      const call = first.message.tool_calls[0];
      assert.equal(call.function.name, 'weather');
      assert.equal(typeof call.function.arguments.city, 'string');
      const result = { role: 'tool', tool_name: 'weather', content: 'sunny, 21 °C' };
      const second = await client.chat({ model, messages: [...toolQuestion, first.message, result], tools: [weatherTool] });
      assert.ok(second.message.content.length > 0);
      return second.message.content;
    },

    async schema() {
      return checkPerson((await client.chat({ model, messages: question, format: schema })).message.content);
    },

    async json() {
      const answer = await client.chat({ model, messages: [{ role: 'user', content: 'Answer with a JSON object.' }], format: 'json' });
      assert.equal(typeof JSON.parse(answer.message.content), 'object');
    },

    async embed() {
      const answer = await client.embed({ model: embedModel, input: ['one', 'two'] });
      assert.equal(answer.embeddings.length, 2);
      return answer.embeddings.map(checkVector);
    },

    async embeddings() {
      return checkVector((await client.embeddings({ model: embedModel, prompt: 'one' })).embedding);
    },

    async unknownModel() {
      return checkRejects(client.chat({ model: 'no-such-model', messages: question }), error => {
        assert.equal(error.name, 'ResponseError');
        assert.equal(error.status_code, 404);
        assert.ok(error.message.includes('no-such-model'));
      });
    },

    async abort() {
      const stream = await client.chat({ model, messages: slowQuestion, stream: true });
      let seen = 0;
      await checkRejects((async () => {
        for await (const part of stream) {
          if (part.message.content && ++seen === 3) stream.abort();
        }
      })(), error => assert.equal(error.name, 'AbortError'));
      assert.ok((await client.chat({ model, messages: question })).message.content.length > 0);
      return seen;
    },
  };
  if (apiKey) {
    tests.wrongKey = () => checkRejects(connect('wrong-key').chat({ model, messages: question }), error => {
      assert.equal(error.status_code, 401);
    });
  }
  return tests;
}
