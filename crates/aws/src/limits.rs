//! What AWS's own numbers allow, for whoever checks settings before AWS does.

/// Days that CloudWatch Logs can keep output.
///
/// Source: CloudWatch Logs API reference, `PutRetentionPolicy`, `retentionInDays`.
pub const RETENTIONS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// What one Fargate task may be: CPU units, then the smallest and the largest memory and its step, in MiB.
///
/// Source: Amazon ECS Developer Guide, "Fargate task definition considerations", task CPU and memory.
const SIZES: [(u32, u32, u32, u32); 7] = [
    (256, 512, 2048, 1024),
    (512, 1024, 4096, 1024),
    (1024, 2048, 8192, 1024),
    (2048, 4096, 16_384, 1024),
    (4096, 8192, 30_720, 1024),
    (8192, 16_384, 61_440, 4096),
    (16_384, 32_768, 122_880, 8192),
];

/// Why Fargate has no task of this size, with the nearest that it has.
pub fn fargate_size(cpu: u32, memory: u32) -> Result<(), String> {
    let Some((_, smallest, largest, step)) = SIZES.into_iter().find(|(units, ..)| *units == cpu) else {
        let known: Vec<String> = SIZES.iter().map(|(units, ..)| units.to_string()).collect();
        return Err(format!("Fargate has no task of {cpu} CPU units, only of {}", known.join(", ")));
    };
    // The smallest task alone has half a GiB, too.
    let fits = memory == smallest || (smallest..=largest).contains(&memory) && memory.is_multiple_of(step);
    if fits {
        return Ok(());
    }
    let nearest = memory.clamp(smallest, largest).div_ceil(step).saturating_mul(step).min(largest);
    let nearest = if memory < smallest { smallest } else { nearest };
    Err(format!(
        "Fargate has no task of {cpu} CPU units with {memory} MiB, only with {smallest} to {largest} in steps of \
         {step}: take memory = {nearest}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fargate_has_certain_sizes_only() {
        for (cpu, memory) in [(256, 512), (256, 1024), (256, 2048), (1024, 3072), (4096, 30_720), (16_384, 122_880)] {
            assert_eq!(fargate_size(cpu, memory), Ok(()), "{cpu} {memory}");
        }
        for (cpu, memory, words) in [
            (300, 512, "Fargate has no task of 300 CPU units, only of 256, 512"),
            (256, 1500, "take memory = 2048"),
            (1024, 512, "take memory = 2048"),
            (512, 9000, "take memory = 4096"),
        ] {
            let said = fargate_size(cpu, memory).expect_err("there is none");
            assert!(said.contains(words), "{said}");
        }
    }
}
