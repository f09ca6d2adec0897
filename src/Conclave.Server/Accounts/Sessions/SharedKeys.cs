using System.Xml.Linq;
using Conclave.Server.Hosting;
using Microsoft.AspNetCore.DataProtection.Repositories;

namespace Conclave.Server.Accounts.Sessions;

/// <summary>ASP.NET Core's data-protection keys in the database, where all web processes find them.</summary>
internal sealed class SharedKeys(ServerRuntime server) : IXmlRepository
{
    /// <inheritdoc/>
    public IReadOnlyCollection<XElement> GetAllElements()
    {
        using var command = server.Database.CreateCommand("select value from conclave.data_protection_key");
        using var reader = command.ExecuteReader();
        var elements = new List<XElement>();
        while (reader.Read())
            elements.Add(XElement.Parse(reader.GetString(0)));
        return elements;
    }

    /// <inheritdoc/>
    public void StoreElement(XElement element, string friendlyName)
    {
        using var command = server.Database.CreateCommand("""
            insert into conclave.data_protection_key (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value
            """);
        command.Parameters.AddValue(friendlyName);
        command.Parameters.AddValue(element.ToString(SaveOptions.DisableFormatting));
        command.ExecuteNonQuery();
    }
}
