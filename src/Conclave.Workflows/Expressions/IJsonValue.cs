using System.Text.Json;

namespace Conclave.Workflows.Expressions;

/// <summary>A value of the engine that knows its own JSON, in which form it is stored and scripts see it.</summary>
public interface IJsonValue
{
    /// <summary>Writes the value as one JSON value.</summary>
    void WriteJson(Utf8JsonWriter writer);
}
