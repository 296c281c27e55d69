// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import Testing

@Suite("An answer to a survey")
struct SurveyAnswerTests {
    private static var report: NodeReport {
        var report = NodeReport(
            entry: NodeEntry(
                version: "1.2", started: 1_763_720_000_000, listen: "[::1]:80", streams: 7, isReady: false,
                isDraining: true))
        report.problem = "draining \"now\""
        report.partitionsDown = [0, 15]
        report.silent = 0.4
        report.behind = 1
        report.gaps = 2
        report.shed = 3
        report.eventsIn = 4
        report.eventsOut = 5
        report.memory = 6
        report.descriptors = 7
        report.descriptorsMax = 8
        report.slowest = [SlowStream(name: "client:\"ann\"", seconds: 1.5, events: 3)]
        return report
    }

    @Test("is read as it was written, with the members that others rely on")
    func roundTrip() throws {
        for report in [nil, SurveyAnswerTests.report] {
            let answer = SurveyAnswer(id: "q", node: "n2", counts: [3, 0], report: report)
            #expect(try SurveyAnswer(json: answer.json) == answer)
        }
        for name in [
            "version", "started", "listen", "streams", "ready", "draining", "problem", "partitions_down", "silent",
            "behind", "gaps", "shed", "events_in", "events_out", "memory", "descriptors", "descriptors_max", "slowest",
        ] { #expect(SurveyAnswerTests.report.members.contains("\"\(name)\":")) }
    }

    @Test("of a later or earlier version is read for what is known of it")
    func versions() throws {
        let json =
            #"{"answer":"q","node":"n","more":[{}],"report":{"version":"9","started":1,"listen":"a","streams":2,"x":1}}"#
        let report = try #require(try SurveyAnswer(json: json).report)
        #expect(report.entry.version == "9" && report.entry.streams == 2 && report.memory == 0 && report.problem == nil)
    }

    @Test(
        "with a fault is none",
        arguments: [
            "", "{}", #"{"answer":"q"}"#, #"{"answer":"q","node":"a b"}"#, #"{"answer":"q","node":"n","counts":[-1]}"#,
            #"{"answer":"q","node":"n","counts":[1.5]}"#, #"{"answer":"q","node":"n","counts":[99999999999]}"#,
            #"{"answer":"q","node":"n","counts":{}}"#, #"{"answer":"q","node":"n","report":[]}"#,
            #"{"answer":"q","node":"n","report":{}}"#,
            #"{"answer":"q","node":"n","report":{"version":"9","started":1,"listen":"a","streams":-2}}"#,
            #"{"answer":"q","node":"n","report":{"version":"9","started":1,"listen":"a","streams":2,"partitions_down":[16]}}"#,
        ])
    func malformed(json: String) {
        #expect(throws: MalformedMessage.self) { try SurveyAnswer(json: json) }
    }
}
