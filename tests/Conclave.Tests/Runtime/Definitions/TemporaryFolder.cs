namespace Conclave.Tests.Runtime.Definitions;

/// <summary>A folder of the test's own, deleted when disposed.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("conclave-workflows-").FullName;

    public string Of(string name) => System.IO.Path.Combine(Path, name);

    public void Write(string name, string content)
    {
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(Of(name))!);
        File.WriteAllText(Of(name), content);
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
