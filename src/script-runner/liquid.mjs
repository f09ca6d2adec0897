import { Liquid } from 'liquidjs';
import { Cache } from './cache.mjs';

const MaxTemplateLength = 1_000_000;
const refusedTags = ['include', 'render', 'layout', 'block'];

let liquid;
const templates = new Cache(1000, 8 * 1024 * 1024);

/** Renders { template, workflow, variables, input, config } to UTF-8 text. */
export function renderLiquid(payload, limits) {
  liquid ??= createLiquid(limits);
  const request = JSON.parse(payload.toString('utf8'));
  const parsed = templates.getOrAdd(request.template, parse);
  // A template that does not parse renders its error, as in Elsa.
  if (parsed.error !== undefined) return Buffer.from(parsed.error);
  try {
    return Buffer.from(liquid.renderSync(parsed.nodes, model(request)));
  } catch (error) {
    throw explained(error, limits);
  }
}

function createLiquid(limits) {
  const engine = new Liquid({
    ownPropertyOnly: true,
    templates: {},
    relativeReference: false,
    locale: 'en-US',
    parseLimit: MaxTemplateLength,
    renderLimit: limits.timeMilliseconds,
    memoryLimit: limits.memoryBytes,
  });
  for (const tag of refusedTags) {
    engine.registerTag(tag, {
      parse() { throw new Error(`The tag '${tag}' reads other templates and is not available here.`); },
      render() {},
    });
  }
  engine.registerFilter('base64', value => Buffer.from(text(value)).toString('base64'));
  engine.registerFilter('keys', value => value !== null && typeof value === 'object' ? Object.keys(value) : []);
  return engine;
}

function parse(template) {
  try {
    return { nodes: liquid.parse(template) };
  } catch (error) {
    return { error: error.message };
  }
}

function model({ workflow = {}, variables, input, config }) {
  const scope = {
    CorrelationId: workflow.correlationId,
    WorkflowDefinitionId: workflow.definitionId,
    WorkflowDefinitionVersionId: workflow.definitionVersionId,
    WorkflowDefinitionVersion: workflow.version,
    WorkflowInstanceId: workflow.instanceId,
    Variables: values(variables),
    Input: values(input),
  };
  if (config !== undefined) scope.Configuration = values(config);
  return scope;
}

// Typed values travel as text that Liquid's filters understand: ISO dates, base64, digits.
function values(wires) {
  const result = Object.create(null);
  for (const name in wires) result[name] = wires[name]?.v;
  return result;
}

const text = value => value === null || value === undefined ? ''
  : typeof value === 'object' ? JSON.stringify(value) : String(value);

function explained(error, limits) {
  if (/template render limit/.test(error.message)) {
    const late = new Error(`The template rendered longer than ${limits.timeMilliseconds / 1000} s, the time limit.`);
    late.kind = 'timeout';
    return late;
  }
  if (/memory alloc limit/.test(error.message)) {
    const large = new Error('The template ran out of memory.');
    large.kind = 'memory';
    return large;
  }
  return error;
}
