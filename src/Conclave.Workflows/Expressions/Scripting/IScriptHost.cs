using System.Text.Json;

namespace Conclave.Workflows.Expressions.Scripting;

/// <summary>Writes what a script or template may read.</summary>
public interface IScriptScope
{
    /// <summary>
    /// Writes members of the request object that the writer is in; leaves out what there is none of:
    /// <list type="bullet">
    /// <item><c>workflow</c>: <c>definitionId</c>, <c>definitionVersionId</c>, <c>version</c>, <c>instanceId</c>,
    /// <c>instanceName</c>, <c>correlationId</c> as plain JSON;</item>
    /// <item><c>variables</c>, <c>input</c>, <c>args</c>, <c>config</c>: an object of <see cref="ScriptValue"/>s by
    /// name, for the names that the script mentions;</item>
    /// <item><c>outputs</c>: by activity name (and id, where the script may use it) an object of
    /// <see cref="ScriptValue"/>s by output name;</item>
    /// <item><c>lastResult</c>: one <see cref="ScriptValue"/>.</item>
    /// </list>
    /// <c>getConfig</c> and Liquid's <c>Configuration</c> exist only where <c>config</c> is written.
    /// </summary>
    void Write(Utf8JsonWriter writer);
}

/// <summary>Answers what a script asks for while it runs.</summary>
public interface IScriptHost
{
    /// <summary>Answers one call.</summary>
    /// <param name="function">
    /// <c>variable</c>, <c>input</c>, <c>secret</c>, <c>config</c> with <c>{name}</c>; <c>output</c> with
    /// <c>{activity, name}</c>; <c>eventTriggerUrl</c> with <c>{eventName, lifetime?, expiresAt?}</c>. For scripts of tools also what <c>ctx</c> has:
    /// <c>memory.get</c>, <c>memory.set</c>, <c>memory.delete</c>, <c>memory.keys</c>, <c>files.read</c>, <c>files.write</c>, <c>http</c>, <c>bus.publish</c>, <c>log</c>, <c>home.call</c>, <c>home.state</c>.
    /// </param>
    /// <param name="arguments">The arguments; valid until the call ends.</param>
    /// <param name="cancellationToken">Cancelled when the request is cancelled or its runner stops.</param>
    /// <returns>The value; <see cref="ScriptValue.Null"/> for an unknown name.</returns>
    /// <remarks>An exception becomes an error inside the script that carries the exception's message. A script
    /// that has asked for something is never moved to another runner: when its runner dies, it fails.</remarks>
    ValueTask<ScriptValue> CallAsync(string function, JsonElement arguments, CancellationToken cancellationToken);
}
