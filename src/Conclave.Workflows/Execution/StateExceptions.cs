namespace Conclave.Workflows.Execution;

/// <summary>Exceptions in stored state: each with a mark before it, the innermost last, then a mark for the end.</summary>
internal static class StateExceptions
{
    public static void Write(ref StateWriter writer, ExceptionState? outermost)
    {
        for (var exception = outermost; exception is not null; exception = exception.Inner)
        {
            writer.Bool(true);
            writer.Text(exception.Type);
            writer.Text(exception.Message);
            writer.Text(exception.StackTrace);
        }

        writer.Bool(false);
    }

    public static ExceptionState? Read(ref StateReader reader)
    {
        var exceptions = new Stack<(string Type, string Message, string? StackTrace)>();
        while (reader.Bool())
            exceptions.Push((reader.Text() ?? "", reader.Text() ?? "", reader.Text()));
        ExceptionState? exception = null;
        foreach (var (type, message, stackTrace) in exceptions)
            exception = new ExceptionState(type, message, stackTrace, exception);
        return exception;
    }
}
