namespace Conclave.Agents.Sandbox;

/// <summary>How much folders hold.</summary>
internal static class FolderSize
{
    private const int MostFiles = 100_000;

    private static readonly EnumerationOptions Everything = new()
    {
        RecurseSubdirectories = true,
        AttributesToSkip = FileAttributes.ReparsePoint,
        IgnoreInaccessible = true,
    };

    /// <summary>Whether the files below a folder are more than so many bytes, or more than 100,000 files. Links are not followed.</summary>
    public static bool Exceeds(string folder, long bytes)
    {
        var (sum, count) = (0L, 0);
        foreach (var file in new DirectoryInfo(folder).EnumerateFiles("*", Everything))
        {
            sum += file.Length;
            if (sum > bytes || ++count > MostFiles)
                return true;
        }

        return false;
    }
}
