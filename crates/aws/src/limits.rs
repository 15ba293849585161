//! What AWS's own numbers allow, for whoever checks settings before AWS does.

use std::fmt;

/// Days that CloudWatch Logs can keep output.
///
/// Source: CloudWatch Logs API reference, `PutRetentionPolicy`, `retentionInDays`.
pub const RETENTIONS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// What one Fargate task may be: CPU units, and the memory that goes with them.
///
/// Source: Amazon ECS Developer Guide, "Fargate task definition considerations", task CPU and memory.
const SIZES: [(u32, Memory); 8] = [
    (256, Memory::OneOf(&[512, 1024, 2048])),
    (512, Memory::Steps(1024, 4096, 1024)),
    (1024, Memory::Steps(2048, 8192, 1024)),
    (2048, Memory::Steps(4096, 16_384, 1024)),
    (4096, Memory::Steps(8192, 30_720, 1024)),
    (8192, Memory::Steps(16_384, 61_440, 4096)),
    (16_384, Memory::Steps(32_768, 122_880, 8192)),
    (32_768, Memory::OneOf(&[61_440, 122_880, 249_856])),
];

/// Sizes of memory, in MiB.
#[derive(Debug, Clone, Copy)]
enum Memory {
    OneOf(&'static [u32]),
    /// The smallest, the largest, the step.
    Steps(u32, u32, u32),
}

impl Memory {
    fn all(self) -> Vec<u32> {
        match self {
            Self::OneOf(sizes) => sizes.to_vec(),
            Self::Steps(smallest, largest, step) => (smallest..=largest).step_by(step as usize).collect(),
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(sizes) => f.write_str(&words(sizes)),
            Self::Steps(smallest, largest, step) => write!(f, "{smallest} to {largest} in steps of {step}"),
        }
    }
}

fn words(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

/// Why Fargate has no task of this size, with the next that it has.
pub fn fargate_size(cpu: u32, memory: u32) -> Result<(), String> {
    let Some((_, sizes)) = SIZES.into_iter().find(|(units, _)| *units == cpu) else {
        let known = words(&SIZES.map(|(units, _)| units));
        return Err(format!("Fargate has no task of {cpu} CPU units, only of {known}"));
    };
    let all = sizes.all();
    if all.contains(&memory) {
        return Ok(());
    }
    let next = all.iter().find(|size| memory < **size).or(all.last()).expect("there is a size");
    Err(format!("Fargate has no task of {cpu} CPU units with {memory} MiB, only with {sizes}: take memory = {next}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fargate_has_certain_sizes_only() {
        for (cpu, memory) in
            [(256, 512), (256, 1024), (256, 2048), (1024, 3072), (4096, 30_720), (16_384, 122_880), (32_768, 249_856)]
        {
            assert_eq!(fargate_size(cpu, memory), Ok(()), "{cpu} {memory}");
        }
        for (cpu, memory, words) in [
            (300, 512, "Fargate has no task of 300 CPU units, only of 256, 512"),
            (256, 1500, "take memory = 2048"),
            (1024, 512, "take memory = 2048"),
            (512, 9000, "take memory = 4096"),
            (256, 4096, "only with 512, 1024, 2048: take memory = 2048"),
        ] {
            let said = fargate_size(cpu, memory).expect_err("there is none");
            assert!(said.contains(words), "{said}");
        }
    }
}
