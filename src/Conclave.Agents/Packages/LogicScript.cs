using System.Text;
using System.Text.Json;
using Conclave.Workflows.Expressions.Scripting;

namespace Conclave.Agents.Packages;

/// <summary>Scripts around a package's <c>logic.js</c>, as the script runner gets them.</summary>
/// <remarks>
/// The logic is the body of a function of its own, in strict mode, and begins on the first line, so that errors name its lines. It has been parsed as
/// a whole before: it cannot end the function early.
/// </remarks>
internal static class LogicScript
{
    /// <summary>Lists the tools, and answers with the hash of the package: <c>{hash, tools, problems}</c>.</summary>
    public static string Heartbeat(string logic, string packageHash) => $$"""
        {{Load(logic)}}
        const problems = [], listed = [], names = new Set();
        const tools = loaded.tools;
        const isText = (value, most) => typeof value === 'string' && value.trim() !== '' && value.length <= most && !/[\0\ud800-\udfff]/.test(value.replace(/[\ud800-\udbff][\udc00-\udfff]/g, ''));
        if (!Array.isArray(tools) || tools.length === 0 || tools.length > 20) problems.push("'exports.tools' must be a list of 1 to 20 tools.");
        else for (let i = 0; i < tools.length; i++) {
          const tool = tools[i], name = tool?.name;
          if (tool === null || typeof tool !== 'object') { problems.push(`exports.tools[${i}] must be an object.`); continue; }
          if (!isText(name, 23) || !/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) { problems.push(`The name of exports.tools[${i}] must be lower-case words with '-' in between, at most 23 characters.`); continue; }
          if (names.has(name)) { problems.push(`There are two tools named '${name}'.`); continue; }
          names.add(name);
          if (!isText(tool.description, 1000)) problems.push(`The tool '${name}' needs a description, at most 1,000 characters.`);
          if (typeof tool.run !== 'function') problems.push(`The tool '${name}' needs a function run(args, ctx).`);
          const schema = tool.parameters === null || typeof tool.parameters !== 'object' ? undefined : JSON.stringify(tool.parameters);
          if (schema === undefined || tool.parameters.type !== 'object') problems.push(`'parameters' of the tool '${name}' must be a JSON Schema with type 'object'.`);
          else if (schema.length > 32768 || schema.includes('\\u0000')) problems.push(`'parameters' of the tool '${name}' is larger than 32 KB, or has a NUL character.`);
          else listed.push({ name, description: String(tool.description).trim(), parameters: JSON.parse(schema), readOnly: tool.readOnly === true, idempotent: tool.idempotent === true });
        }
        return { hash: {{Json(packageHash)}}, tools: listed, problems };
        })()
        """;

    /// <summary>Name of the function that <see cref="Function"/> declares.</summary>
    public const string FunctionName = "run";

    /// <summary>Declares a function <c>run(args, ctx)</c>, which runs a tool.</summary>
    public static string Function(string logic, string tool) => $$"""
        const run = {{Load(logic)}}
        return (args, ctx) => loaded.tools.find(tool => tool.name === {{Json(tool)}}).run(args, ctx);
        })();
        """;

    private static string Load(string logic) =>
        $"(() => {{ 'use strict'; const loaded = (() => {{ const module = {{ exports: {{}} }}; ((module, exports) => {{ {logic}\n}})(module, module.exports); return module.exports; }})();";

    /// <summary>JSON is JavaScript.</summary>
    private static string Json(string text) => JsonSerializer.Serialize(text, ScriptText.Default.String);

    /// <summary>The text of a file that <see cref="ScriptRunnerPool.AnalyseScriptAsync"/> has read.</summary>
    public static string Text(PackageFile logic) => Encoding.UTF8.GetString(logic.Content.Span).TrimStart('\uFEFF');
}

[System.Text.Json.Serialization.JsonSerializable(typeof(string))]
internal sealed partial class ScriptText : System.Text.Json.Serialization.JsonSerializerContext;
