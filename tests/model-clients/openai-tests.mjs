import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { checkPerson, checkRejects, checkVector, question, schema, slowQuestion, toolQuestion, weatherTool } from './checks.mjs';

export function openaiTests({ baseUrl, apiKey, model, embedModel }) {
  const connect = key => new OpenAI({ baseURL: `${baseUrl}/v1`, apiKey: key, maxRetries: 0 });
  const client = connect(apiKey ?? 'none');
  const chat = (messages, more = {}, options = {}) => client.chat.completions.create({ model, messages, ...more }, options);

  const tests = {
    async models() {
      const ids = [];
      for await (const one of client.models.list()) ids.push(one.id);
      assert.ok(ids.includes(model), `'${model}' is not among ${ids}`);
      assert.equal((await client.models.retrieve(model)).id, model);
      return ids.length;
    },

    async chat() {
      const answer = await chat(question);
      assert.equal(answer.object, 'chat.completion');
      assert.equal(answer.choices[0].finish_reason, 'stop');
      assert.ok(answer.choices[0].message.content.length > 0);
      assert.ok(answer.usage.completion_tokens > 0);
      return answer.choices[0].message.content;
    },

    async stream() {
      let [text, chunks, finish, usage] = ['', 0, null, null];
      for await (const chunk of await chat(question, { stream: true, stream_options: { include_usage: true } })) {
        assert.equal(chunk.object, 'chat.completion.chunk');
        const delta = chunk.choices[0]?.delta?.content;
        if (delta) [text, chunks] = [text + delta, chunks + 1];
        finish = chunk.choices[0]?.finish_reason ?? finish;
        if (chunk.usage) {
          assert.deepEqual(chunk.choices, []);
          usage = chunk.usage;
        }
      }
      assert.ok(chunks > 1, 'not streamed');
      assert.equal(finish, 'stop');
      assert.ok(usage.completion_tokens > 0, 'no usage');
      return text;
    },

    async streamWithoutUsage() {
      for await (const chunk of await chat(question, { stream: true })) assert.equal(chunk.usage ?? null, null);
    },

    async tools() {
      const first = await chat(toolQuestion, { tools: [weatherTool] });
      assert.equal(first.choices[0].finish_reason, 'tool_calls');
      const call = first.choices[0].message.tool_calls[0];
      assert.equal(call.function.name, 'weather');
      assert.equal(typeof JSON.parse(call.function.arguments).city, 'string');
      const result = { role: 'tool', tool_call_id: call.id, content: 'sunny, 21 °C' };
      const second = await chat([...toolQuestion, first.choices[0].message, result], { tools: [weatherTool] });
      assert.ok(second.choices[0].message.content.length > 0);
      return second.choices[0].message.content;
    },

    async toolsStreamed() {
      const runner = client.chat.completions.stream({ model, messages: toolQuestion, tools: [weatherTool] });
      const call = (await runner.finalMessage()).tool_calls[0];
      assert.equal(call.function.name, 'weather');
      return JSON.parse(call.function.arguments);
    },

    async schema() {
      const answer = await chat(question, { response_format: { type: 'json_schema', json_schema: { name: 'person', strict: true, schema } } });
      return checkPerson(answer.choices[0].message.content);
    },

    async json() {
      const answer = await chat([{ role: 'user', content: 'Answer with a JSON object.' }], { response_format: { type: 'json_object' } });
      assert.equal(typeof JSON.parse(answer.choices[0].message.content), 'object');
    },

    async embeddings() {
      // Asks for base64 and decodes it.
      const answer = await client.embeddings.create({ model: embedModel, input: ['one', 'two'] });
      assert.equal(answer.data.length, 2);
      return answer.data.map(d => checkVector(d.embedding));
    },

    async embeddingsAsNumbers() {
      const answer = await client.embeddings.create({ model: embedModel, input: 'one', encoding_format: 'float' });
      return checkVector(answer.data[0].embedding);
    },

    async unknownModel() {
      return checkRejects(client.chat.completions.create({ model: 'no-such-model', messages: question }), error => {
        assert.ok(error instanceof OpenAI.NotFoundError, `${error}`);
        assert.equal(error.status, 404);
        assert.ok(error.message.includes('no-such-model'));
      });
    },

    async badRequest() {
      return checkRejects(chat([]), error => assert.ok(error instanceof OpenAI.BadRequestError, `${error}`));
    },

    async abort() {
      const stop = new AbortController();
      let seen = 0;
      for await (const chunk of await chat(slowQuestion, { stream: true }, { signal: stop.signal })) {
        if (chunk.choices[0]?.delta?.content && ++seen === 3) stop.abort();
      }
      assert.ok(seen >= 3);
      assert.ok((await chat(question)).choices[0].message.content.length > 0);
      return seen;
    },
  };
  if (apiKey) {
    tests.wrongKey = () => checkRejects(connect('wrong-key').chat.completions.create({ model, messages: question }), error => {
      assert.ok(error instanceof OpenAI.AuthenticationError, `${error}`);
    });
  }
  return tests;
}
